"""A model whose forward passes several jobs share: what the worker's table asks of it, and the models of `p2p`."""

import logging
from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from p2p.cohort.cohort import Cohort
from p2p.cohort.key import batch_key, rows_of
from p2p.cohort.member import Member
from p2p.cohort.turn import Turn
from p2p.edit import EditResult
from p2p.errors import P2PError
from p2p.families.base import ModelFamily
from p2p.spec import EditSpec
from p2p.spec.inversions import NullText
from p2p.trajectory import Trajectory
from worker.events import Waiting
from worker.runs_in_cohort import Stepped, joined_run
from worker.sampler import ModelSampler, Sampler

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seat:
    """What a job needs to be among others.

    Attributes:
        key: that all must have.
        rows: the most that it takes in a step.
    """

    key: Hashable
    rows: int


@dataclass(frozen=True)
class Size:
    """Of one turn."""

    rows: int
    jobs: int


class Sharing(Protocol):
    """One model, shared. Used by one thread."""

    @property
    def sampler(self) -> Sampler:
        """Whose runs join, and then wait for turns (`worker.events.Waiting`)."""

    @property
    def is_empty(self) -> bool:
        """Whether no run waits for a turn."""

    def seat(self, spec: EditSpec) -> Seat | None:
        """What a spec needs; None if it must be alone."""

    def turn(self) -> Size:
        """Makes a turn. Each run takes its part of it when it goes on.

        Raises:
            torch.AcceleratorError: the device is lost.
        """

    def close(self) -> None:
        """Takes all runs out."""


class SharedModel:
    """`Sharing` of a loaded model."""

    def __init__(self, family: ModelFamily) -> None:
        self._family, self._cohort = family, Cohort(family)
        self.sampler: Sampler = _SharedSampler(family, self)
        self._runs: dict[Member, int] = {}
        self._last: tuple[Turn, int] | Exception | None = None

    @property
    def is_empty(self) -> bool:
        return not self._cohort.members

    def seat(self, spec: EditSpec) -> Seat | None:
        # Gradients need far more memory than a step, and an inversion holds its LoRAs from its first step to its last.
        photo = spec.source.image is not None
        if photo and (isinstance(spec.inversion, NullText) or spec.loras):
            return None
        try:
            return Seat(batch_key(spec, self._family), rows_of(spec, self._family, is_kept=photo))
        except P2PError:
            return None  # alone it says why it cannot be run
        except Exception:
            log.exception("what a job needs among others is not known: it runs alone")
            return None

    def turn(self) -> Size:
        try:
            turn = self._cohort.turn()
        except Exception as error:
            # The cohort divides what fails. This concerns all: each run raises it, unless the caller ends before.
            self._last = error
            raise
        jobs = len({self._runs[member] for member in turn.rows})
        self._last = turn, jobs
        return Size(sum(turn.rows.values()), jobs)

    def close(self) -> None:
        self._cohort.close()

    def run(
        self, spec: EditSpec, kept: Trajectory | None, masks: Mapping[str, Image.Image]
    ) -> Generator[Stepped, None, tuple[EditResult, ...]]:
        """A run among others."""
        own: list[Member] = []

        def joined(members: Sequence[Member]) -> None:
            own.extend(members)
            self._runs.update((member, id(own)) for member in members)

        try:
            return (yield from joined_run(self._cohort, self._next, spec, kept, masks, joined=joined))
        finally:
            for member in own:
                del self._runs[member]

    def _next(self) -> Generator[Waiting, None, tuple[Turn, int]]:
        yield Waiting()
        if isinstance(self._last, Exception):
            raise self._last
        assert self._last is not None
        return self._last


class _SharedSampler(ModelSampler):
    """`Sampler` whose runs join others."""

    def __init__(self, family: ModelFamily, shared: SharedModel) -> None:
        super().__init__(family)
        self._shared = shared

    def steps(
        self, spec: EditSpec, kept: Trajectory | None, masks: Mapping[str, Image.Image]
    ) -> Generator[Stepped, None, tuple[EditResult, ...]]:
        self._make_sure_it_is_whole()
        return (yield from self._shared.run(spec, kept, masks))
