"""The seven metrics of an edit, and their means."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor, ViTModel

from benchmarks.pie_bench.clip import clip_similarity, inside
from benchmarks.pie_bench.lpips import Lpips
from benchmarks.pie_bench.mapping import Item, region
from benchmarks.pie_bench.preservation import mse, outside, psnr, ssim
from benchmarks.pie_bench.structure import structure_distance

#: The metrics as they are published: by what each is multiplied, and its name, which says so.
METRICS: Mapping[str, tuple[str, float]] = {
    "structure_distance": ("structure_distance_e3", 1e3),
    "psnr": ("psnr", 1),
    "lpips": ("lpips_e3", 1e3),
    "mse": ("mse_e4", 1e4),
    "ssim": ("ssim_e2", 1e2),
    "clip_whole": ("clip_whole", 1),
    "clip_edited": ("clip_edited", 1),
}


@dataclass(frozen=True, kw_only=True)
class Networks:
    """What judges edits."""

    clip: Any
    processor: Any
    dino: Any
    lpips: Lpips

    @classmethod
    def load(cls, *, clip: str, dino: str, squeezenet: Path, lpips: Path, device: torch.device) -> "Networks":
        """The networks of hub ids or directories, and of LPIPS's two files."""
        return cls(
            clip=CLIPModel.from_pretrained(clip).to(device).eval(),
            processor=CLIPProcessor.from_pretrained(clip),
            dino=ViTModel.from_pretrained(dino, add_pooling_layer=False).to(device).eval(),
            lpips=Lpips.load(squeezenet, lpips, device),
        )


def measured(item: Item, edited: Image.Image, networks: Networks) -> dict[str, float | None]:
    """Every metric of an edit; None for what has no value: nothing lies outside the region, or PSNR is infinite."""
    before, after = np.asarray(item.image()), np.asarray(edited)
    if before.shape != after.shape:
        raise ValueError(f"item {item.id}: the picture is {before.shape} and the edited one {after.shape}")
    where = region(item.runs, *before.shape[:2])
    found: dict[str, float | None] = dict.fromkeys(METRICS)
    found["structure_distance"] = structure_distance(before, after, networks.dino)
    found["clip_whole"] = clip_similarity(after, item.target, networks.clip, networks.processor)
    found["clip_edited"] = clip_similarity(inside(after, where), item.target, networks.clip, networks.processor)
    if not where.all():
        x, y = outside(before, where), outside(after, where)
        decibels = psnr(x, y)
        found |= {"mse": mse(x, y), "ssim": ssim(x, y), "psnr": decibels if math.isfinite(decibels) else None}
        device = networks.lpips.shift.device
        found["lpips"] = float(networks.lpips(*(_as_input(picture, device) for picture in (x, y))))
    return found


def means(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The mean of each metric over those rows that have it, as it is published; None if none has it."""
    table = {}
    for name, (published, factor) in METRICS.items():
        values = [value for row in rows if (value := row[name]) is not None]
        table[published] = round(factor * sum(values) / len(values), 4) if values else None
    return table


def _as_input(picture: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float().to(device) * 2 - 1
