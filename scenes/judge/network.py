"""The judge's network: a little U-Net with a head for each question."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from scenes.world import PLACES, STYLES, THINGS, TINTS

#: What its outputs stand for, in their order. Background, no tint and no style come first.
THING_NAMES = tuple(THINGS)
PLACE_NAMES = tuple(PLACES)
TINT_NAMES = (None, *TINTS)
STYLE_NAMES = (None, *STYLES)
#: Pixels a side of what it looks at.
SIDE = 64


@dataclass(frozen=True, eq=False)
class Answers:
    """Logits for a batch of pictures.

    Attributes:
        things: (n, things), whether each is there; of a sigmoid.
        place: (n, places). style: (n, styles).
        regions: (n, 1 + things, SIDE, SIDE): what a pixel belongs to; the background is 0.
        tints: (n, tints, SIDE / 2, SIDE / 2): the tint of what is at a cell.
    """

    things: Tensor
    place: Tensor
    style: Tensor
    regions: Tensor
    tints: Tensor

    def tint_within(self, masks: Tensor) -> Tensor:
        """(n, tints): the mean logits of the tint over masks, (n, SIDE, SIDE) of weights."""
        weight = functional.avg_pool2d(masks.float()[:, None], 2)
        return (self.tints * weight).sum((2, 3)) / weight.sum((2, 3)).clamp(min=1e-6)


def _convolution(inside: int, outside: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, side, stride, side // 2, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class Judge(nn.Module):
    """Pictures (n, 3, SIDE, SIDE) in -1..1 to `Answers`."""

    def __init__(self) -> None:
        super().__init__()
        self.down_2 = nn.Sequential(_convolution(3, 24, 5, 2), _convolution(24, 24))  # 32x32
        self.down_4 = nn.Sequential(_convolution(24, 56, 3, 2), _convolution(56, 56))  # 16x16
        self.down_8 = nn.Sequential(_convolution(56, 96, 3, 2), _convolution(96, 96), _convolution(96, 96))  # 8x8
        self.to_4, self.up_4 = nn.Conv2d(96, 56, 1), _convolution(56, 56)
        self.to_2, self.up_2 = nn.Conv2d(56, 32, 1), _convolution(32 + 24, 40)
        self.regions = nn.Conv2d(40, 1 + len(THING_NAMES), 1)
        self.tints = nn.Conv2d(40, len(TINT_NAMES), 1)
        # Style and place show in colours as much as in shapes: the finest features are pooled too.
        pooled = 2 * (24 + 96)
        self.place = nn.Linear(pooled, len(PLACE_NAMES))
        self.style = nn.Linear(pooled, len(STYLE_NAMES))
        self.things = nn.Linear(2 * 96, len(THING_NAMES))
        # A thing is there where pixels are its own: dense labels teach this long before the pooled features do.
        self.by_area = nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, pictures: Tensor) -> Answers:
        half = self.down_2(pictures)
        quarter = self.down_4(half)
        eighth = self.down_8(quarter)
        up = functional.interpolate(self.to_4(eighth), scale_factor=2, mode="bilinear")
        up = self.up_4(quarter + up)
        up = functional.interpolate(self.to_2(up), scale_factor=2, mode="bilinear")
        fine = self.up_2(torch.cat([half, up], 1))
        regions = self.regions(fine)
        deep = _pooled(eighth)
        whole = torch.cat([_pooled(half), deep], 1)
        area = regions.softmax(1)[:, 1:].sum((2, 3))  # (n, things), cells of 2x2 pixels
        return Answers(
            things=self.things(deep) + self.by_area[0] * (area + 1).log() + self.by_area[1],
            place=self.place(whole),
            style=self.style(whole),
            regions=functional.interpolate(regions, scale_factor=2, mode="bilinear"),
            tints=self.tints(fine),
        )


def _pooled(features: Tensor) -> Tensor:
    return torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
