"""Structure distance (Tumanyan et al. 2022): how differently the parts of two pictures resemble one another."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

#: Pixels a side, as DINO saw its pictures.
SIDE = 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def structure_distance(one: np.ndarray, other: np.ndarray, dino: Any) -> float:
    """The mean squared difference of two pictures' `self_similarity` in DINO's last layer.

    Args:
        one, other: (height, width, 3) uint8.
        dino: a `transformers.ViTModel`; the published figures are of `facebook/dino-vitb8`.
    """
    first, second = (self_similarity(keys(picture, dino)) for picture in (one, other))
    return float(functional.mse_loss(first, second))


@torch.no_grad()
def keys(picture: np.ndarray, dino: Any) -> Tensor:
    """The keys of the last layer's attention, all heads side by side, (1 + patches, channels)."""
    seen: list[Tensor] = []
    hook = dino.layers[-1].attention.k_proj.register_forward_hook(lambda _, __, output: seen.append(output[0]))
    try:
        dino(as_input(picture).to(dino.device), interpolate_pos_encoding=dino.config.image_size != SIDE)
    finally:
        hook.remove()
    return seen[0]


def as_input(picture: np.ndarray) -> Tensor:
    """What the published code shows DINO, (1, 3, 224, 224).

    A quirk of it: the mean and deviation of pictures of 0 to 1 are applied to levels of 0 to 255. It shrinks without
    antialiasing, as torchvision did tensors by default then.
    """
    levels = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]
    small = functional.interpolate(levels, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return (small - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


def self_similarity(keys: Tensor) -> Tensor:
    """Cosines of all pairs, (places, places), of (places, channels)."""
    norms = keys.norm(dim=1, keepdim=True)
    return keys @ keys.T / (norms @ norms.T).clamp(min=1e-8)
