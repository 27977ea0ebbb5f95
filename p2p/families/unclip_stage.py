"""unCLIP's super-resolution: two networks that see no words, the second of which makes the last step."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from p2p.families.base import DrawnFrom
from p2p.families.unclip_parts import UnCLIPParts

#: As the pipeline has it by default.
STEPS = 7


class UnCLIPStage:
    """A `Stage` of `p2p.families.super_resolution`."""

    def __init__(self, parts: UnCLIPParts, steps: int = STEPS) -> None:
        self.first, self.last = parts.super_res_first, parts.super_res_last
        self.networks = (self.first, self.last)
        self.factor, self.steps, self.scheduler = parts.factor, steps, parts.super_res_scheduler

    def noise_shape(self, small: Tensor) -> tuple[int, int, int]:
        return small.shape[1], small.shape[2] * self.factor, small.shape[3] * self.factor

    def begun(self, small: Tensor, streams: Sequence[torch.Generator], rows: Sequence[DrawnFrom]) -> Tensor:
        # In float32: nothing resizes half precision with antialiasing on a CPU.
        size = self.noise_shape(small)[1:]
        large = functional.interpolate(small.float(), size, mode="bicubic", align_corners=False, antialias=True)
        return large.to(small.dtype)

    def predicted(self, state: Tensor, seen: Tensor, timestep: Tensor, index: int) -> Tensor:
        network: Any = self.last if index == self.steps - 1 else self.first
        return network(torch.cat([state, seen], 1), timestep, return_dict=False)[0]

    def pixels(self, state: Tensor) -> Tensor:
        return state
