"""A sampler that takes a job's steps and time and no model's, and one that notes what another does."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import cast

import torch
from PIL import Image

from benchmarks.recovery.wires import Wires
from p2p.edit import EditResult
from p2p.sampling import DenoisingStep
from p2p.spec import EditSpec
from p2p.stepping import made_of
from p2p.trajectory import Trajectory
from process.logs import CONTEXT
from worker.runs_in_cohort import Stepped
from worker.sampler import Sampler

#: Seconds a step takes, and to load what would be the model.
STEP, START = 0.05, 1.0
#: The step before which a running process is killed.
MIDDLE = 5


class StandIn:
    """`Sampler` without a model."""

    def __init__(self) -> None:
        time.sleep(START)

    def source_of(self, spec: EditSpec) -> str:
        return spec.source.prompt

    def steps(
        self, spec: EditSpec, kept: Trajectory | None, masks: Mapping[str, Image.Image]
    ) -> Generator[Stepped, None, tuple[EditResult, ...]]:
        return self.drawn(spec, seconds=STEP)

    def drawn(self, spec: EditSpec, *, seconds: float) -> Generator[Stepped, None, tuple[EditResult, ...]]:
        """A run whose steps take so long each."""
        num_steps, latents = spec.sampling.steps or 1, torch.zeros(1)
        for index in range(num_steps):
            time.sleep(seconds)
            yield DenoisingStep(index=index, num_steps=num_steps, latents=latents)
        gradient = Image.radial_gradient("L").convert("RGB")
        images = tuple(gradient.rotate(number) for number in range(1 + len(spec.targets)))
        return tuple(
            EditResult(images=images, latents=latents, prompts=(), maps=(), noise=latents, seconds={}, seed=seed)
            for seed in spec.seeds
        )

    def preview(self, step: DenoisingStep) -> Sequence[Image.Image]:
        return (Image.radial_gradient("L").convert("RGB"),)


class Noted:
    """`Sampler` that writes another's steps into the journal, with a wire in the middle of a run."""

    def __init__(self, sampler: Sampler, wires: Wires) -> None:
        self._sampler, self._wires = sampler, wires

    def source_of(self, spec: EditSpec) -> str:
        return self._sampler.source_of(spec)

    def steps(
        self, spec: EditSpec, kept: Trajectory | None, masks: Mapping[str, Image.Image]
    ) -> Generator[Stepped, None, tuple[EditResult, ...]]:
        return (yield from made_of(self._sampler.steps(spec, kept, masks), self._noted))

    def _noted(self, step: Stepped) -> Iterator[Stepped]:
        if not isinstance(step, DenoisingStep):
            yield step
            return
        # Of several jobs in hand it is the one whose lines the log has now.
        job = cast(str | None, CONTEXT.get().get("job_id"))
        self._wires.note("step", job=job, step=step.index)
        if step.index == MIDDLE:
            self._wires.trip("while_running", job)
        yield step

    def preview(self, step: DenoisingStep) -> Sequence[Image.Image]:
        return self._sampler.preview(step)
