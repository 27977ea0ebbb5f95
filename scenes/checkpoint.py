"""Training that can be stopped at any moment: one file, written whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

import torch


def save(path: Path, state: dict) -> None:
    """Writes a checkpoint; a stop half-way leaves the one before it intact."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load(path: Path) -> dict | None:
    """The last checkpoint, or None if there is none."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


class Ema:
    """An exponential moving average of parameters: what is exported and looked at.

    The decay warms up with (1 + n) / (10 + n), so that the random start is forgotten early.
    """

    def __init__(self, parameters: list[torch.nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = parameters, decay
        self.averages = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.averages, [p.detach() for p in self.parameters], weight)

    def applied(self, use: Callable[[], None]) -> None:
        """Calls `use` with the averages in the parameters' place, and puts the parameters back."""
        live = [p.detach().clone() for p in self.parameters]
        self.copy(self.averages)
        try:
            use()
        finally:
            self.copy(live)

    @torch.no_grad()
    def copy(self, values: list[torch.Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)
