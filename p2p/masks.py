"""Where a user lets a picture change: in a box, or where a mask is white.

Outside, latents are the source's, and so are the pixels: a decoder looks around, and would change what is beside.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from p2p.errors import UnsupportedMask
from p2p.mask_reading import mask_of
from p2p.spec import Box, LocalBlend, MaskImage, Target

EVERYWHERE = Box(left=0, top=0, right=1, bottom=1)
#: Where a picture may change, of its size: a picture that is read as `p2p.mask_reading` says, or (height, width) bool.
Mask = Image.Image | Tensor


def bounds(targets: Sequence[Target], size: tuple[int, int], masks: Mapping[str, Mask]) -> Tensor | None:
    """(targets, height, width) bool: where each target may change at most; None if none is bounded.

    Args:
        size: height and width of the pictures.
        masks: by the names under which blends ask for them.
    Raises:
        UnsupportedMask: one that is asked for is not there, or not of the pictures' size.
    """
    each = [bounds_of(target.local_blend, size, masks) for target in targets]
    if all(one is None for one in each):
        return None
    return torch.stack([torch.ones(size, dtype=torch.bool) if one is None else one for one in each])


def bounds_of(blend: LocalBlend | None, size: tuple[int, int], masks: Mapping[str, Mask]) -> Tensor | None:
    """The same of one target, (height, width)."""
    if blend is None or not (blend.box or blend.mask):
        return None
    within = torch.ones(size, dtype=torch.bool) if blend.box is None else touched(blend.box, size)
    return within if blend.mask is None else within & _white(blend.mask, size, masks)


def cells(bounds: Tensor, scale_factor: int) -> Tensor:
    """The same of latents' cells: those of which anything may change.

    Args:
        scale_factor: pixels along a cell.
    """
    height, width = bounds.shape[-2:]
    return bounds.unflatten(-1, (width // scale_factor, -1)).unflatten(-3, (height // scale_factor, -1)).any(-1).any(-2)


def touched(box: Box, size: tuple[int, int]) -> Tensor:
    """(height, width) bool: the pixels that a box touches, so that all of what it holds may change."""
    height, width = size
    pixels = torch.zeros(size, dtype=torch.bool)
    rows = slice(math.floor(box.top * height), math.ceil(box.bottom * height))
    columns = slice(math.floor(box.left * width), math.ceil(box.right * width))
    pixels[rows, columns] = True
    return pixels


def _white(asked: MaskImage, size: tuple[int, int], masks: Mapping[str, Mask]) -> Tensor:
    mask = masks.get(asked.name, masks.get(asked.upload or ""))
    if mask is None:
        raise UnsupportedMask(f"a blend is bounded by the mask {asked.name}: give it by this name")
    if isinstance(mask, Image.Image):
        white = torch.from_numpy(np.asarray(mask_of(mask, asked.read_by)) > 0)
    else:
        white = mask.cpu() != 0
    if tuple(white.shape) != size:
        raise UnsupportedMask(
            f"the mask is {'x'.join(map(str, white.shape))} and the picture {size[0]}x{size[1]} (height x width): "
            "bring it to the picture's size"
        )
    return white
