"""`python -m scenes.flow.train`: draws the world, trains the transformer and its text encoders, exports the model.

Tokenizer, autoencoder and the first text encoder are those of `scenes`. Stop it at any moment and start it again: it
goes on from the last checkpoint in the run's folder. The same command uses a GPU where there is one.
"""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from scenes import checkpoint
from scenes.flow import training
from scenes.flow.captions import BothTokenizers, t5_tokenizer
from scenes.flow.export import MODEL, export

#: The trained model of the same world that tokenizer, autoencoder and text encoder start from.
SCENES = Path(__file__).parent.parent / "model"


def prepare(folder: Path) -> BothTokenizers:
    """Writes what is not trained to `folder`, and gives the tokenizers."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "vae").exists():
        vae = AutoencoderKL.from_pretrained(SCENES / "vae", dtype=torch.float32)
        # SD3's pipeline shifts latents, so that its autoencoder must say by how much: these by nothing.
        vae.register_to_config(shift_factor=0.0)
        vae.save_pretrained(folder / "vae")
    clip = CLIPTokenizer.from_pretrained(SCENES / "tokenizer")
    clip.save_pretrained(folder / "tokenizer")
    return BothTokenizers(clip, t5_tokenizer(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/flow"), help="checkpoints, cached latents, the log")
    parser.add_argument("--model", type=Path, default=MODEL, help="where the model is written")
    parser.add_argument("--samples", type=int, default=400_000, help="scenes that are seen in all")
    parser.add_argument("--compile", action="store_true", help="compile the transformer's blocks; needs a C++ compiler")
    parser.add_argument("--export", action="store_true", help="only write the last checkpoint's model")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    folder = arguments.folder
    tokenizers = prepare(folder)
    if arguments.export:
        state = checkpoint.load(folder / "flow.pt")
        if state is None:
            raise SystemExit(f"{folder}/flow.pt is not there: train first, with --folder {folder}")
        export(folder, state["samples"], arguments.model)
        return
    training.train(
        folder,
        arguments.samples,
        torch.device(arguments.device),
        tokenizers,
        text_from=SCENES / "text_encoder",
        look=lambda samples: export(folder, samples, arguments.model),
        use_compiled=arguments.compile,
    )


if __name__ == "__main__":
    main()
