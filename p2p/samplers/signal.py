"""How much of the clean latents is left at a timestep: `alphas_cumprod`, which nobody else reads."""

import math
from typing import Any

import torch
from torch import Tensor


def signal_at(scheduler: Any, timestep: float) -> float:
    """The cumulated alpha of a timestep, between two of them in proportion; never nothing, by which it is divided."""
    table = scheduler.alphas_cumprod
    below = min(max(math.floor(timestep), 0), len(table) - 1)
    above = min(below + 1, len(table) - 1)
    low, high = float(table[below]), float(table[above])
    return max(low + (high - low) * (timestep - below), torch.finfo(torch.float32).eps)


def signal_around(scheduler: Any, index: int) -> tuple[Tensor, Tensor]:
    """The cumulated alphas of the latents before and after a step of DDIM, exactly as its own step reads them.

    Where the number of steps does not divide the training's timesteps, a step does not end at the next one's level.
    """
    timestep = int(scheduler.timesteps[index])
    after = timestep - scheduler.config.num_train_timesteps // len(scheduler.timesteps)
    table = scheduler.alphas_cumprod
    return table[timestep], table[after] if after >= 0 else scheduler.final_alpha_cumprod
