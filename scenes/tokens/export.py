"""Writes what a run has trained as an ordinary diffusers directory, which `AmusedPipeline` loads."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel, VQModel
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from scenes.tokens.transformer import MASKED

MODEL = Path(__file__).parent / "model"


def assemble(folder: Path) -> AmusedPipeline:
    """The pipeline of what the run in `folder` has trained so far."""
    return AmusedPipeline(
        vqvae=VQModel.from_pretrained(folder / "vqvae"),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        text_encoder=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder"),
        transformer=UVit2DModel.from_pretrained(folder / "transformer"),
        scheduler=AmusedScheduler(mask_token_id=MASKED),
    )


def export(folder: Path, samples_seen: int, target: Path = MODEL) -> None:
    """Writes the run's model to `target` in half precision; a stop half-way leaves what was there."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    assemble(folder).to(torch.float16).save_pretrained(partial, safe_serialization=True, max_shard_size="15MB")
    (partial / "training.json").write_text(json.dumps({"samples_seen": samples_seen}) + "\n")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
