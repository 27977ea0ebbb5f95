"""The denoising loop: a turn is a step of every job that is in the cohort by then."""

import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from p2p.change.choosing import explicit
from p2p.cohort.failures import let_go
from p2p.cohort.finishing import Finished, finish_together
from p2p.cohort.forward import Processors
from p2p.cohort.generated import GeneratedRun
from p2p.cohort.given import Answer
from p2p.cohort.kept import KeptRun
from p2p.cohort.key import BatchKey, batch_key
from p2p.cohort.member import Member
from p2p.cohort.passes import Passes
from p2p.cohort.run import Run
from p2p.cohort.tried import TriedRun
from p2p.cohort.turn import Turn
from p2p.cohort.two_passes import TwoPasses
from p2p.errors import MixedBatch
from p2p.families.base import ModelFamily
from p2p.fresh_noise import is_wanted
from p2p.masks import Mask
from p2p.preparation import Prepared, prepare, sampler_of
from p2p.rooms import expanded
from p2p.samplers.base import Sampler
from p2p.spec import EditSpec
from p2p.trajectory import Trajectory

#: Members whose pictures are being made, and the work on them.
_Finishing = tuple[list[Member], Generator[Member, None, Finished]]


class Cohort:
    """Jobs that share a model's forward passes. Between turns the model's own attention is in place.

    LoRAs stay applied for as long as the cohort has members: use it as a context manager, or `close` it.

    Args:
        processors: makes the attention processors, instead of the family.
    """

    def __init__(self, family: ModelFamily, processors: Processors | None = None) -> None:
        self.family = family
        self._passes = Passes(family, processors)
        self._denoised: list[Member] = []
        self._finishing: deque[_Finishing] = deque()
        self._loras = ExitStack()
        self._finish_next = False

    @property
    def members(self) -> tuple[Member, ...]:
        """All that have joined, and neither ended nor left."""
        return (*self._denoised, *(member for members, _ in self._finishing for member in members))

    @property
    def key(self) -> BatchKey | None:
        """That all members share, and that a job must have to join; None if there are none."""
        return next((member.key for member in self.members), None)

    @property
    def rows(self) -> int:
        """The most rows that the members' steps take together."""
        return sum(member.rows for member in self._denoised)

    def join(
        self,
        spec: EditSpec,
        *,
        kept: Trajectory | None = None,
        noise: Tensor | None = None,
        keep: bool = False,
        masks: Mapping[str, Mask] | None = None,
    ) -> Member:
        """Prepares a job of one seed. It does its first step in the next turn.

        If this raises anything, the cohort is as it was: the error is this job's alone.

        Args:
            kept: the source's run, if it is kept or was inverted from a photo.
            noise: the starting noise, (1, channels, height, width), instead of the seed's.
            keep: whether the result holds the source's trajectory; always the case if it is `kept`.
            masks: those that blends name, by these names: of the picture's size, white where it may change.
        Raises:
            ValueError: the source's run is `kept` and the spec has no targets: there is nothing to denoise.
            MixedBatch: the members have another key.
            WrongTrajectory: `kept` is of another source.
            SeveralSeeds: the spec has several seeds: `EditSpec.of_seeds` gives each of them.
            PromptTooLong, UnknownLora, UnsupportedSize, UnsupportedMask, UnsupportedSampling: as in
                `p2p.edit.edit_steps`.
        """
        began = time.perf_counter()
        if kept is not None and not spec.targets:
            raise ValueError("a kept source without targets leaves nothing to denoise: add a target")
        spec = explicit(spec)
        key = batch_key(spec, self.family)
        if self.key is not None and key != self.key:
            differences = ", ".join(self.key.differences(key))
            raise MixedBatch(f"one forward pass cannot have {differences}: run them apart")
        with self.family.loras.applied(key.loras):
            member = self._prepared(spec, key, kept, noise, keep, masks)
            if self.key is None and key.loras:
                # Held for as long as there are members: to switch them at every turn would take as long as a step.
                self._loras.enter_context(self.family.loras.applied(key.loras))
        self._denoised.append(member)
        member.spent("encode", time.perf_counter() - began)
        return member

    def _prepared(
        self,
        spec: EditSpec,
        key: BatchKey,
        kept: Trajectory | None,
        noise: Tensor | None,
        keep: bool,
        masks: Mapping[str, Mask] | None,
    ) -> Member:
        family, rows = self.family, expanded(spec)
        sampler = sampler_of(spec, family)
        if kept is None:
            job = prepare(rows, family, sampler, noise, keep=keep, masks=masks)
            run: Run = _generated(rows, family, sampler, job, keep=keep)
        else:
            job = prepare(rows, family, sampler, kept.noise, source_maps=kept.maps, masks=masks)
            run = KeptRun(family, sampler, job, kept)
        if rows is not spec:
            run = TriedRun(run, spec)
        finishing = family.finishing(spec.sampling.height, spec.sampling.width)
        return Member(run, key, tuple(family.loras.digests(spec.loras)), finishing=finishing.steps)

    def turn(self) -> Turn:
        """One step of every job, or one piece of finishing those that ended; in turns where both wait.

        Finishing comes first: jobs that end are not kept waiting by those that go on. A job that fails by itself
        leaves, and its neighbours do not notice. If memory is short, the same step is done in several passes.

        Raises:
            ValueError: there are no members.
            torch.AcceleratorError: the device is lost, and all members with it.
        """
        if not self.members:
            raise ValueError("a cohort without members has no turn: let a job join first")
        self._settle()
        began = time.perf_counter()
        finishes = bool(self._finishing) and (self._finish_next or not self._denoised)
        # Others may be in the middle of a run with LoRAs of their own.
        with self.family.loras.applied(self.members[0].key.loras):
            turn = self._finish(began) if finishes else self._step(began)
        self._finish_next = not finishes
        for member in turn.rows:
            member.spent(turn.part, turn.seconds)
        self._rest()
        return turn

    def leave(self, member: Member) -> None:
        """Takes a member out at once; its rows are free. Nothing happens if it has ended or left already."""
        if member in self._denoised:
            self._denoised.remove(member)
        for members, work in list(self._finishing):
            if member in members:
                members.remove(member)
                if not members:
                    work.close()
                    self._finishing.remove((members, work))
        self._rest()

    def close(self) -> None:
        """Takes all members out."""
        for member in self.members:
            self.leave(member)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _step(self, began: float) -> Turn:
        steps, errors, answers = {}, {}, dict[Member, Answer]()
        asked = {}
        for member in self._denoised:
            try:
                asked[member] = member.asked()
            except torch.AcceleratorError:
                raise
            except Exception as error:
                errors[member] = let_go(error)
        rows = {member: each.given.rows for member, each in asked.items()}
        for member, answer in zip(asked, self._passes.answers(list(asked.values())), strict=True):
            if isinstance(answer, Exception):
                errors[member] = answer
            else:
                answers[member] = answer
        for member, answer in answers.items():
            try:
                steps[member] = member.took(answer)
            except torch.AcceleratorError:
                raise
            except Exception as error:
                errors[member] = let_go(error)
        ended = [member for member in steps if member.is_denoised]
        for group in _finished_together(ended):
            self._finishing.append((group, finish_together(self.family, tuple(group))))
        self._denoised = [member for member in self._denoised if member not in errors and not member.is_denoised]
        return Turn(part="denoise", seconds=self._since(began), rows=rows, steps=steps, errors=errors)

    def _finish(self, began: float) -> Turn:
        members, work = self._finishing[0]
        rows, steps, results, errors = {member: member.pictures for member in members}, {}, {}, {}
        try:
            member = next(work)
            if member in members:  # it may have left on the way
                steps[member] = member.finished_one()
            self._finishing.rotate(-1)
        except StopIteration as end:
            self._finishing.popleft()
            for member, pixels in end.value:
                if member not in members:
                    continue  # it left on the way
                try:
                    if isinstance(pixels, Exception):
                        raise pixels
                    results[member] = member.result(pixels)
                except torch.AcceleratorError:
                    raise
                except Exception as error:
                    errors[member] = let_go(error)
        seconds = self._since(began)
        return Turn(part="decode", seconds=seconds, rows=rows, steps=steps, results=results, errors=errors)

    def _since(self, began: float) -> float:
        """Seconds that a turn has taken."""
        self._settle()
        return time.perf_counter() - began

    def _settle(self) -> None:
        """Waits for a GPU where several share it: what it has not done yet would be charged to the next turn's jobs."""
        if len(self.members) > 1 and self.family.device.type == "cuda":
            torch.cuda.synchronize(self.family.device)

    def _rest(self) -> None:
        """If there are no members, takes the LoRAs away and forgets what was laid out."""
        if not self.members:
            self._loras.close()
            self._passes.forget()


def _finished_together(ended: Sequence[Member]) -> Iterator[list[Member]]:
    """Members whose pictures are made in one piece of work.

    Pictures that take steps are made run by run anyway: each member by itself, so that the work on one that leaves is
    given up at once.
    """
    if at_once := [member for member in ended if not member.finishing]:
        yield at_once
    yield from ([member] for member in ended if member.finishing)


def _generated(spec: EditSpec, family: ModelFamily, sampler: Sampler, job: Prepared, *, keep: bool) -> Run:
    """The run of a generated source: beside its edits, or before them if it decides what they start from."""
    if is_wanted(job):
        return TwoPasses(family, sampler, sampler_of(spec, family), job, keep=keep)
    return GeneratedRun(family, sampler, job, keep=keep)
