"""One job's side of the loop: its own sampler, latents and local blend. The model's call lies outside of it."""

from typing import Protocol

import torch
from torch import Tensor

from p2p.blend import local_blend
from p2p.cohort.given import Asked
from p2p.preparation import Prepared
from p2p.samplers.base import Sampler
from p2p.trajectory import Trajectory


class Run(Protocol):
    """The denoising of one source and its targets, a step at a time: `asked`, the model, `step`.

    Attributes:
        job: what is run.
        sampler: of this run alone; schedulers keep a state from step to step.
        num_steps: how many steps it takes.
        rows: the most rows that a step gives to the model.
    """

    job: Prepared
    sampler: Sampler
    num_steps: int
    rows: int

    def asked(self, index: int) -> Asked:
        """What a step gives to the model."""
        ...

    def step(self, prediction: Tensor, index: int) -> Tensor:
        """The latents of all pictures after a step and its local blend, (1 + targets, channels, height, width).

        Args:
            prediction: the model's guided output for the rows that were `asked`.
        """
        ...

    def clean(self) -> Tensor:
        """The clean latents that the last step's prediction points at, of the same shape, with its local blend."""
        ...

    def trajectory(self) -> Trajectory | None:
        """The source's, after the last step; None if it is not kept."""
        ...


class Blending:
    """A job's local blend, with its plan's tensors on the device of the run."""

    def __init__(self, job: Prepared, device: torch.device) -> None:
        self._maps = job.maps
        self._plan = None if job.plan.blend is None else job.plan.blend.to(device)

    def __call__(self, latents: Tensor, index: int) -> Tensor:
        """The latents after a step, the source's first, with the blend of every target that has one."""
        if self._plan is None or self._maps is None:
            return latents
        return local_blend(latents, self._maps.mean(), self._plan, index)
