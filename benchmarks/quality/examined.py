"""The judge's examination on pictures as a model's autoencoder gives them back.

A new kind of state is a function and a row of `EXAMINED`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.quality.painting import CHUNK, decoded
from p2p.families.base import to_pixels
from p2p.spec import State
from scenes.judge.examination import examine
from scenes.judge.network import Judge


def disturbed(family: Any, judge: Judge, count: int) -> dict[str, float]:
    """Two thirds of the pictures went through, their latents disturbed, as in the judge's training."""
    return examine(judge, count, family.pipeline.vae)


def as_tokens(family: Any, judge: Judge, count: int) -> dict[str, float]:
    """All went through: tokens cannot be disturbed a little."""

    def through(images: np.ndarray) -> np.ndarray:
        pixels = to_pixels([Image.fromarray(image) for image in images])
        return np.stack(decoded(family, torch.cat([family.encode(rows) for rows in pixels.split(CHUNK)])))

    return examine(judge, count, through=through)


EXAMINED: Mapping[State, Callable[[Any, Judge, int], dict[str, float]]] = {
    "latents": disturbed,
    "tokens": as_tokens,
    "flows": disturbed,
}
