"""Where words act: cross-attention averaged over heads, layers and steps, reduced as soon as it is seen."""

import torch
from torch import Tensor


class AttentionMaps:
    """The running mean of the (edited) cross-attention of a run at one resolution, per picture and token.

    The mean over layers is taken within a step, so a step counts as much as any other however many layers it read.

    Args:
        of_source: (steps, tokens, height, width), the source's maps where they are known already (`p2p.trajectory`):
            what is added then concerns the targets alone.
    """

    def __init__(self, of_source: Tensor | None = None) -> None:
        self.of_source = of_source
        self.of_source_by_step: list[Tensor] = []  # (tokens, height, width) each, what a trajectory keeps
        self.total: Tensor | None = None  # (pictures, tokens, height, width), summed over finished steps
        self.steps = 0
        self._layers: list[Tensor] = []

    def add(self, probs: Tensor, size: tuple[int, int]) -> None:
        """Adds one layer's (pictures, positions, tokens), averaged over its heads, at the current step."""
        self._layers.append(probs.transpose(1, 2).unflatten(-1, size))

    def end_step(self) -> None:
        """Closes the step: what was added to it now counts."""
        if not self._layers:
            return
        mean = torch.stack(self._layers).mean(0)
        if self.of_source is not None:
            mean = torch.cat([self.of_source[self.steps, None].to(mean), mean])
        self.of_source_by_step.append(mean[0].clone())  # a view would keep the targets' maps too
        self.total = mean if self.total is None else self.total + mean
        self.steps += 1
        self._layers.clear()

    def mean(self) -> Tensor:
        """(pictures, tokens, height, width): the mean over the steps so far."""
        if self.total is None:
            raise RuntimeError("no step has ended yet: maps exist from the first step on")
        return self.total / self.steps
