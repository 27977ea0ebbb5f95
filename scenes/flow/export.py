"""Writes what a run has trained as an ordinary diffusers directory, which `StableDiffusion3Pipeline` loads."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel, StableDiffusion3Pipeline
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5Tokenizer

from scenes.flow.transformer import schedule

MODEL = Path(__file__).parent / "model"


def assemble(folder: Path) -> StableDiffusion3Pipeline:
    """The pipeline of what the run in `folder` has trained so far."""
    return StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel.from_pretrained(folder / "transformer"),
        scheduler=schedule(),
        vae=AutoencoderKL.from_pretrained(folder / "vae"),
        text_encoder=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2"),
        tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder_3=T5EncoderModel.from_pretrained(folder / "text_encoder_3"),
        tokenizer_3=T5Tokenizer.from_pretrained(folder / "tokenizer_3"),
    )


def export(folder: Path, samples_seen: int, target: Path = MODEL) -> None:
    """Writes the run's model to `target` in half precision; a stop half-way leaves what was there."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    assemble(folder).to(torch.float16).save_pretrained(partial, safe_serialization=True, max_shard_size="15MB")
    (partial / "training.json").write_text(json.dumps({"samples_seen": samples_seen}) + "\n")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
