"""Where a user lets a picture change, on the grid of its latents."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from p2p.spec import Box, Target

EVERYWHERE = Box(left=0, top=0, right=1, bottom=1)


def within(targets: Sequence[Target], size: tuple[int, int]) -> Tensor | None:
    """(targets, height, width) bool: where each target may change at most; None where none is bounded.

    Args:
        size: height and width of the latents.
    """
    boxes = [target.local_blend.box if target.local_blend else None for target in targets]
    if not any(boxes):
        return None
    return torch.stack([cells_of(box or EVERYWHERE, size) for box in boxes])


def cells_of(box: Box, size: tuple[int, int]) -> Tensor:
    """(height, width) bool: the cells that a box touches, so that all of what it holds may change."""
    height, width = size
    cells = torch.zeros(size, dtype=torch.bool)
    rows = slice(math.floor(box.top * height), math.ceil(box.bottom * height))
    columns = slice(math.floor(box.left * width), math.ceil(box.right * width))
    cells[rows, columns] = True
    return cells
