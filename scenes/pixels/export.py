"""Writes what a run has trained as an ordinary diffusers directory, which `IFPipeline` loads."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import IFPipeline, UNet2DConditionModel
from transformers import T5EncoderModel, T5Tokenizer

from scenes.pixels import network

MODEL = Path(__file__).parent / "model"


def assemble(folder: Path) -> IFPipeline:
    """The pipeline of what the run in `folder` has trained so far."""
    return IFPipeline(
        tokenizer=T5Tokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder=T5EncoderModel.from_pretrained(folder / "text_encoder"),
        unet=UNet2DConditionModel.from_pretrained(folder / "unet"),
        scheduler=network.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )


def export(folder: Path, samples_seen: int, target: Path = MODEL) -> None:
    """Writes the run's model to `target` in half precision; a stop half-way leaves what was there."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    assemble(folder).to(torch.float16).save_pretrained(partial, safe_serialization=True, max_shard_size="15MB")
    (partial / "training.json").write_text(json.dumps({"samples_seen": samples_seen}) + "\n")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
