"""Pictures of captions by a plain diffusers pipeline: for the judge, and as a sheet to look at."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from scenes.grid import PROMPTS


def painted(pipeline: DiffusionPipeline, captions: Sequence[str], *, chunk: int, seed: int, **given: Any) -> np.ndarray:
    """uint8 pictures (n, SIZE, SIZE, 3) of captions.

    Args:
        chunk: captions of one call; each call has a seed of its own, so that another chunk gives other pictures.
        given: what the pipeline is called with beside its captions.
    """
    pictures = []
    for start in range(0, len(captions), chunk):
        generator = torch.Generator(pipeline.device).manual_seed(seed + start)
        images = pipeline(list(captions[start : start + chunk]), generator=generator, output_type="np", **given).images
        pictures.append((images * 255).round().astype(np.uint8))
    return np.concatenate(pictures)


def sheet(paint: Callable[[Sequence[str], float], np.ndarray], guidance_scales: Sequence[float]) -> Image.Image:
    """`PROMPTS` of the built-in model's grid side by side, a row for each guidance scale; none chosen."""
    rows = [np.concatenate(list(paint(PROMPTS, scale)), 1) for scale in guidance_scales]
    small = Image.fromarray(np.concatenate(rows))
    return small.resize((small.width * 2, small.height * 2), Image.Resampling.LANCZOS)
