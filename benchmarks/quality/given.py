"""A given picture as it stands before a step of a run, for methods that begin there or return to it.

A new kind of state is a function and a row of `GIVEN`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from p2p.spec import State

#: Of (sampler, the picture's state (1, channels, height, width), the step, a seed).
Given = Callable[[Any, Tensor, int, int], Tensor]


def noised(sampler: Any, clean: Tensor, index: int, seed: int) -> Tensor:
    """Latents at the noise of a step. They are clean once no step is left."""
    if index == sampler.num_steps:
        return clean
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return sampler.way_back().noised(clean, index, noise)


def masked(sampler: Any, clean: Tensor, index: int, seed: int) -> Tensor:
    """Tokens of which as many are masked as a run has left at a step, in one order of the seed: the same and fewer."""
    left = math.floor(clean[0].numel() * math.cos(index / sampler.num_steps * math.pi / 2))
    places = torch.rand(clean.shape, generator=torch.Generator().manual_seed(seed)).flatten().argsort()
    hidden = torch.zeros(clean.numel(), dtype=torch.bool)
    hidden[places[:left]] = True
    return torch.where(hidden.view(clean.shape).to(clean.device), sampler.masked_token, clean)


GIVEN: Mapping[State, Given] = {"latents": noised, "tokens": masked, "flows": noised}
