"""The composition a stranger reads first: a spec and a model in, pictures and maps out."""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from p2p.cohort.cohort import Cohort
from p2p.cohort.member import Member
from p2p.errors import SeveralSeeds
from p2p.families.base import ModelFamily
from p2p.masks import Mask
from p2p.result import EditResult, WordMap
from p2p.sampling import DenoisingStep
from p2p.spec import EditSpec
from p2p.stepping import result_of
from p2p.trajectory import Trajectory

__all__ = ["EditResult", "WordMap", "edit", "edit_again_steps", "edit_batch_steps", "edit_steps", "side_by_side"]


def edit_steps(
    spec: EditSpec,
    family: ModelFamily,
    *,
    noise: Tensor | None = None,
    keep: bool = False,
    masks: Mapping[str, Mask] | None = None,
) -> Generator[DenoisingStep, None, tuple[EditResult, ...]]:
    """Runs a spec: yields every `DenoisingStep`, and returns the result of each of its seeds, which share the run.

    Args:
        noise: the starting noise, (1, channels, height, width), instead of a seed's.
        keep: whether the result holds the source's trajectory, for `edit_again_steps`.
        masks: those that blends name, by these names: of the picture's size, white where it may change.
    Raises:
        PromptTooLong: a prompt has more tokens than the model reads.
        UnknownLora: the model does not offer a LoRA that is asked for.
        UnsupportedSize: the model cannot draw the size asked for.
        UnsupportedMask: a mask that a blend names is not there, or of another size.
        UnsupportedSampling: the scheduler cannot make so many steps.
        NotFinite: the model's latents or pixels were not finite.
    """
    specs = [spec.of_seeds(seed) for seed in spec.seeds]
    return (yield from edit_batch_steps(specs, family, noises=[noise] * len(specs), keep=keep, masks=masks))


def edit(
    spec: EditSpec,
    family: ModelFamily,
    *,
    noise: Tensor | None = None,
    keep: bool = False,
    masks: Mapping[str, Mask] | None = None,
) -> EditResult:
    """Runs a spec of one seed to its end; see `edit_steps`."""
    if len(spec.seeds) > 1:
        raise SeveralSeeds(spec.seeds)
    (result,) = result_of(edit_steps(spec, family, noise=noise, keep=keep, masks=masks))
    return result


def edit_batch_steps(
    specs: Sequence[EditSpec],
    family: ModelFamily,
    *,
    noises: Sequence[Tensor | None] | None = None,
    keep: bool = False,
    masks: Mapping[str, Mask] | None = None,
) -> Generator[DenoisingStep, None, tuple[EditResult, ...]]:
    """Runs specs together: yields every step of them all, and returns their results.

    Edit kinds, windows, seeds, guidance, steps and schedulers may differ. The latents of a step are those of all specs
    in their order; a run of fewer steps keeps its last ones. The number of steps is that of the longest run.

    Raises:
        MixedBatch: the specs differ in size, LoRAs, or the number of chunks that their prompts are read in.
        PromptTooLong, UnknownLora, UnsupportedSize, UnsupportedMask, UnsupportedSampling, NotFinite: as in
            `edit_steps`.
    """
    clock = Clock()
    with Cohort(family) as cohort:
        each = zip(specs, noises or [None] * len(specs), strict=True)
        members = [cohort.join(spec, noise=noise, keep=keep, masks=masks) for spec, noise in each]
        return (yield from _together(cohort, members, clock))


def edit_again_steps(
    spec: EditSpec, family: ModelFamily, trajectory: Trajectory, *, masks: Mapping[str, Mask] | None = None
) -> Generator[DenoisingStep, None, EditResult]:
    """Edits a kept source: like `edit_steps` with fewer rows, and the same pictures up to rounding.

    Raises:
        WrongTrajectory: the trajectory is of another source.
        PromptTooLong, UnknownLora, UnsupportedSize, UnsupportedMask, UnsupportedSampling, NotFinite: as in
            `edit_steps`.
    """
    clock = Clock()
    with Cohort(family) as cohort:
        members = [cohort.join(spec, kept=trajectory, masks=masks)]
        (result,) = yield from _together(cohort, members, clock)
        return result


def _together(
    cohort: Cohort, members: Sequence[Member], clock: "Clock"
) -> Generator[DenoisingStep, None, tuple[EditResult, ...]]:
    """Every step of members that joined together, to their end; the first error of one is the error of all."""
    clock.lap("encode")
    steps: dict[Member, DenoisingStep] = {}
    results: dict[Member, EditResult] = {}
    while cohort.members:
        turn = cohort.turn()
        clock.lap(turn.part)
        for error in turn.errors.values():
            raise error
        steps.update(turn.steps)
        results.update(turn.results)
        if turn.steps:
            yield side_by_side([steps[member] for member in members])
        clock.skip()
    return tuple(replace(results[member], seconds=clock.seconds) for member in members)


def side_by_side(steps: Sequence[DenoisingStep]) -> DenoisingStep:
    """Steps of several runs as one step of them all."""
    if len(steps) == 1:
        return steps[0]
    cleans = [step.clean for step in steps if step.clean]
    return DenoisingStep(
        index=max(step.index for step in steps),
        num_steps=max(step.num_steps for step in steps),
        latents=torch.cat([step.latents for step in steps]),
        clean=(lambda: torch.cat([clean() for clean in cleans])) if cleans else None,
        finished=sum(step.finished for step in steps),
        finishing=sum(step.finishing for step in steps),
    )


class Clock:
    """Seconds of each part of a run, without the time that the caller spends between steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    def lap(self, part: str) -> None:
        """Notes what passed since the last lap as a part's."""
        now = time.perf_counter()
        self.seconds[part], self._began = self.seconds.get(part, 0.0) + now - self._began, now

    def skip(self) -> None:
        """What passed since the last lap is nobody's."""
        self._began = time.perf_counter()
