"""`python -m scenes.tokens.train`: draws the world, trains the autoencoder of tokens and the transformer, exports both.

Stop it at any moment and start it again: it goes on from the last checkpoint in the run's folder. The same command
uses a GPU where there is one, with larger batches.
"""

import argparse
import os
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from scenes.tokens import training, vq
from scenes.tokens.budget import Budget
from scenes.tokens.drawing import Drawing, Pictures, held_out
from scenes.tokens.examples import Examples
from scenes.tokens.export import MODEL, export
from scenes.tokens.log import Log

#: The trained model of the same world that tokenizer, text encoder and autoencoder start from.
SCENES = Path(__file__).parent.parent / "model"
#: The autoencoder's share of the seconds; where it is trained already, they are the transformer's.
VQ_SHARE = 0.2
#: Scenes drawn without `--shards`, in shards of 4096: each is 50 MB in the run's folder.
SHARDS = {"cpu": 24, "cuda": 128}
#: Shards that the autoencoder learns from.
VQ_SHARDS = {"cpu": 4, "cuda": 32}
HELD_OUT = 256
#: Learning rates tried, as shares of the usual one: the next where a training diverges.
RATES = (1.0, 0.5, 0.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/tokens"), help="checkpoints, pictures, the log")
    parser.add_argument("--model", type=Path, default=MODEL, help="where the model is written")
    parser.add_argument("--seconds", type=float, default=3 * 3600, help="how long this run may take, drawing included")
    parser.add_argument("--shards", type=int, help="of 4096 scenes, drawn while training goes on")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="that draw; 0: none beside this one")
    parser.add_argument("--batch", type=int, help="scenes of a step of the transformer")
    parser.add_argument("--compile", action="store_true", help="compile the transformer if that is right and faster")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    train(
        arguments.folder,
        arguments.model,
        torch.device(arguments.device),
        seconds=arguments.seconds,
        shards=arguments.shards or SHARDS[arguments.device],
        processes=arguments.processes,
        batch_size=arguments.batch or training.BATCH[arguments.device],
        use_compiled=arguments.compile,
    )


def train(
    folder: Path,
    model: Path,
    device: torch.device,
    *,
    seconds: float,
    shards: int,
    processes: int,
    batch_size: int,
    use_compiled: bool,
) -> None:
    """Trains for `seconds`, and writes the model to `model` about once a minute and at the end."""
    ends = time.monotonic() + seconds
    folder.mkdir(parents=True, exist_ok=True)
    log, tokenizer = Log(folder, "train"), CLIPTokenizer.from_pretrained(SCENES / "tokenizer")
    tokenizer.save_pretrained(folder / "tokenizer")
    with Drawing(folder, shards, processes) as drawing:
        asked = held_out(HELD_OUT, tokenizer)
        first = Pictures.together([drawing.next() for _ in range(min(shards, VQ_SHARDS[device.type]))])
        log(scenes=len(first), seconds_left=ends - time.monotonic())
        torch.manual_seed(0)
        vae = AutoencoderKL.from_pretrained(SCENES / "vae", dtype=torch.float32)
        budget = Budget(seconds=VQ_SHARE * (ends - time.monotonic()))
        autoencoder = vq.train(folder, first, asked, budget, device, vae)
        parts = [Examples.of(first, autoencoder)]
        while drawing.ready:
            parts.append(Examples.of(drawing.next(), autoencoder))
        examples = Examples.together(parts)
        log(scenes=len(examples), seconds_left=ends - time.monotonic())
        for rate in RATES:
            try:
                training.train(
                    folder,
                    examples,
                    drawing,
                    asked,
                    autoencoder,
                    tokenizer,
                    Budget(seconds=max(1.0, ends - time.monotonic())),
                    device,
                    batch_size=batch_size,
                    text_from=SCENES / "text_encoder",
                    use_compiled=use_compiled,
                    rate=rate,
                    look=lambda samples: export(folder, samples, model),
                )
                return
            except training.Diverged as diverged:
                log(rate=rate, diverged=str(diverged))
        raise SystemExit("the transformer's training diverged at every learning rate; see log.jsonl")


if __name__ == "__main__":
    main()
