"""`python -m scenes.train`: draws the world, trains the tokenizer, the autoencoder and the painter, exports the model.

Stop it at any moment and start it again: it goes on from the last checkpoint in the run's folder. The same
command uses a GPU where there is one.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

from scenes import autoencoder, painter, tokenizer, warm_start
from scenes.dataset import shard
from scenes.grid import grid

MODEL = Path(__file__).parent / "model"


def assemble(folder: Path) -> StableDiffusionPipeline:
    """The pipeline of what a run has trained so far."""
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(folder / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder"),
        tokenizer=tokenizer.prepare(folder),
        unet=UNet2DConditionModel.from_pretrained(folder / "unet"),
        scheduler=painter.sampler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(folder: Path, samples_seen: int, target: Path = MODEL) -> None:
    """Writes the run's model to `target` in half precision, in the plain diffusers layout."""
    pipeline = assemble(folder).to(torch.float16)
    pipeline.save_pretrained(target, safe_serialization=True, max_shard_size="15MB")
    (target / "training.json").write_text(json.dumps({"samples_seen": samples_seen}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/scenes"), help="checkpoints, cached latents, grids")
    parser.add_argument("--autoencoder-steps", type=int, default=5_000)
    parser.add_argument("--painter-steps", type=int, default=30_000)
    parser.add_argument("--export", action="store_true", help="only write the last checkpoint's model to scenes/model")
    parser.add_argument(
        "--warm-start", action="store_true", help="without a checkpoint, go on from scenes/model; its autoencoder stays"
    )
    arguments = parser.parse_args()
    folder, device = arguments.folder, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.export:
        torch.manual_seed(0)
        if arguments.warm_start:
            warm_start.from_model(MODEL, folder, painter.BATCH)
        words = tokenizer.prepare(folder)
        if not arguments.warm_start:
            autoencoder.train(folder, arguments.autoencoder_steps, device)
            fix_scale(folder, words, device)
        painter.train(
            folder,
            arguments.painter_steps,
            device,
            words,
            look=lambda step: grid(assemble(folder), device).save(folder / f"grid-{step:06d}.png"),
        )
    step = torch.load(folder / "painter.pt", map_location="cpu", weights_only=True)["step"]
    export(folder, samples_seen=step * painter.BATCH)


def fix_scale(folder: Path, words, device: torch.device) -> None:
    """Sets the autoencoder's scaling factor, so that scaled latents have unit deviation, once."""
    vae = AutoencoderKL.from_pretrained(folder / "vae").to(device).eval()
    if vae.config.scaling_factor == 0.18215:  # diffusers' default: not measured yet
        vae.register_to_config(scaling_factor=1 / shard(folder, 0, vae, words).latents.float().std().item())
        vae.save_pretrained(folder / "vae")


if __name__ == "__main__":
    main()
