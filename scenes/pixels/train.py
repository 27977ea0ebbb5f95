"""`python -m scenes.pixels.train`: draws the world, trains the UNet of pixels and its text encoder, exports the model.

Stop it at any moment and start it again: it goes on from the last checkpoint in the run's folder. The same command
uses a GPU where there is one.
"""

import argparse
from pathlib import Path

import torch

from scenes.pixels import tokenizer, training
from scenes.pixels.export import MODEL, export

SAMPLES = 300_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/pixels"), help="checkpoints, the model, the log")
    parser.add_argument("--model", type=Path, default=MODEL, help="where the model is written at the end")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="seen in all; the learning rate falls to nothing")
    parser.add_argument("--compile", action="store_true", help="compile the UNet: faster, after some minutes of work")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    training.train(
        folder,
        tokenizer.prepare(folder),
        arguments.samples,
        torch.device(arguments.device),
        use_compiled=arguments.compile,
        look=lambda samples: export(folder, samples, arguments.model),
    )


if __name__ == "__main__":
    main()
