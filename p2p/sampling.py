"""The denoising loop, a generator: progress, cancelling and previews are the caller's business."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl, controlled
from p2p.blend import local_blend
from p2p.families.base import ModelFamily
from p2p.families.conditioning import Conditioning
from p2p.finite import FiniteWatch
from p2p.samplers.base import Sampler


@dataclass(frozen=True)
class DenoisingStep:
    """One step that is done.

    Attributes:
        index: from 0.
        num_steps: of the run.
        latents: (rows, channels, height, width) after the step and its local blend; a job's source comes first.
        clean: gives the latents that the run is heading for, of the same shape, as its last prediction has it; to be
            called before the run goes on. None if nobody can say.
    """

    index: int
    num_steps: int
    latents: Tensor
    clean: Callable[[], Tensor] | None = None


def noise_streams(seed: int, rows: int) -> list[torch.Generator]:
    """One stream of noise for each row of a run, all the same: the source and its targets share every draw.

    They are on the CPU, so that a seed means the same picture on every device.
    """
    return [torch.Generator().manual_seed(seed) for _ in range(rows)]


class Denoising(Protocol):
    """A run, a step at a time."""

    num_steps: int

    def step(self, index: int) -> Tensor:
        """Does a step; the latents of all rows after it and its local blend, (rows, channels, height, width)."""

    def clean(self) -> Tensor:
        """The clean latents that the last step's prediction points at, of the same shape, with its local blend."""


def denoise(run: Denoising) -> Iterator[DenoisingStep]:
    """Yields after each step of a run; the model's own attention is in place whenever the generator is not running.

    Raises:
        NotFinite: latents were not finite after some step; at once on the CPU, else as soon as the device has said so.
    """
    watch = FiniteWatch("the latents")
    for index in range(run.num_steps):
        latents = run.step(index)
        watch.note(latents)
        yield DenoisingStep(index, run.num_steps, latents, run.clean)
    watch.require()


class BatchDenoising:
    """The denoising of a batch.

    Args:
        sampler: of the run.
        start: (rows, channels, height, width), what each row starts from.
        streams: one per row, for samplers that draw at every step.
    """

    def __init__(
        self,
        family: ModelFamily,
        sampler: Sampler,
        conditioning: Conditioning,
        start: Tensor,
        streams: Sequence[torch.Generator],
        control: AttentionControl,
    ) -> None:
        self.family, self.sampler, self.conditioning, self.control = family, sampler, conditioning, control
        self.processors = family.attention_processors(control)
        self.num_steps, self.streams = sampler.num_steps, streams
        self.latents = sampler.state(start)

    def step(self, index: int) -> Tensor:
        self.control.at_step(index)
        # Installed for the model call alone: a caller that stops listening between steps leaves nothing behind.
        with controlled(self.family.attention_layers, self.processors):
            seen = self.sampler.seen(self.latents, index)
            prediction = self.family.predict(seen, self.sampler.timestep(index), self.conditioning)
        latents = self.sampler.step(prediction, index, self.latents, self.streams)
        self.control.end_step()
        self.latents = blended(latents, self.control, index)
        self._last = index, seen, prediction
        return self.latents

    def clean(self) -> Tensor:
        index, seen, prediction = self._last
        return blended(self.sampler.clean(seen, prediction, index), self.control, index)


def blended(latents: Tensor, control: AttentionControl, step: int) -> Tensor:
    """Latents of all rows with the local blend of every job that has one."""
    for job in control.jobs:
        if job.plan.blend is not None and job.maps is not None:
            rows, plan = job.rows.slice, job.plan.blend.to(latents.device)
            own = local_blend(latents[rows], job.maps.mean(), plan, step)
            latents = torch.cat([latents[: rows.start], own, latents[rows.stop :]])
    return latents
