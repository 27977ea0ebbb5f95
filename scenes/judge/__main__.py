"""`python -m scenes.judge`: how well the judge judges held-out renders; with `--train`, trains it first."""

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from scenes.judge.examination import examine
from scenes.judge.training import train
from scenes.judge.verdict import WEIGHTS, load, save, steps_seen

VAE = Path("scenes/model/vae")
STEPS, EXAMINED = 3100, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="from nothing: half an hour; needs the emoji font")
    parser.add_argument("--go-on", action="store_true", help="train the weights that are there further")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--vae", type=Path, default=VAE, help="the autoencoder whose pictures it is to be at home with")
    arguments = parser.parse_args()
    vae = AutoencoderKL.from_pretrained(arguments.vae, torch_dtype=torch.float32).eval()
    if arguments.go_on:
        seen = steps_seen(arguments.weights)
        save(train(arguments.steps, vae, load(arguments.weights), seen), seen + arguments.steps, arguments.weights)
    elif arguments.train:
        save(train(arguments.steps, vae), arguments.steps, arguments.weights)
    judge = load(arguments.weights)
    print(
        json.dumps({"renders": examine(judge, EXAMINED), "partly_through_autoencoder": examine(judge, EXAMINED, vae)})
    )


if __name__ == "__main__":
    main()
