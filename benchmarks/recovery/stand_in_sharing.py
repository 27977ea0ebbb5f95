"""What several jobs share where there is no model: turns that take the time of a step."""

import time
from collections.abc import Callable, Generator, Mapping
from typing import cast

from PIL import Image

from benchmarks.recovery.stand_in import STEP, StandIn
from p2p.edit import EditResult
from p2p.spec import EditSpec
from p2p.stepping import made_of
from p2p.trajectory import Trajectory
from worker.events import Waiting
from worker.runs_in_cohort import Stepped
from worker.sampler import Sampler
from worker.sharing import Seat, Size
from worker.usage import Share

#: Rows of a job, as of a pair with guidance.
ROWS = 4


class StandInSharing:
    """`worker.sharing.Sharing` without a model.

    Args:
        noted: has the runs of a sampler noted.
    """

    def __init__(self, noted: Callable[[Sampler], Sampler]) -> None:
        self.sampler = noted(cast(Sampler, _Together(self)))
        self.runs = 0

    @property
    def is_empty(self) -> bool:
        return self.runs == 0

    def seat(self, spec: EditSpec) -> Seat | None:
        return Seat("stand-in", ROWS)

    def turn(self) -> Size:
        time.sleep(STEP)
        return Size(ROWS * self.runs, self.runs)

    def close(self) -> None:
        """It holds nothing."""


class _Together(StandIn):
    """`Sampler` whose runs wait for turns."""

    def __init__(self, sharing: StandInSharing) -> None:
        self._sharing = sharing

    def steps(
        self, spec: EditSpec, kept: Trajectory | None, masks: Mapping[str, Image.Image]
    ) -> Generator[Stepped, None, tuple[EditResult, ...]]:
        def waited(step: Stepped) -> Generator[Stepped, None, None]:
            yield Waiting()
            yield Share("denoise", STEP, ROWS, ROWS * self._sharing.runs, self._sharing.runs)
            yield step

        self._sharing.runs += 1
        try:
            return (yield from made_of(self.drawn(spec, seconds=0.0), waited))
        finally:
            self._sharing.runs -= 1
