"""What a request computes for itself: a small one at once, a larger one in a thread, in its owner's turn.

Python's threads take turns at computing every few milliseconds (`sys.setswitchinterval`), so that the event loop goes
on beside whatever a large request takes. What holds the loop is a single call into C, and those are bounded where they
are made: see `service.http.body_models`.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from process.turns import Turns

#: Characters up to which a request is worked on at once: a thread takes 0.1 ms, as long as half of a usual POST. The
#: worst that so many characters can ask for takes some milliseconds (`benchmarks.hostile`).
SMALL = 2_048
#: Large requests that are worked on at the same time. More would not be done sooner: one computes at a time.
AT_ONCE = 2

Result = TypeVar("Result")


class Computing:
    """The threads of one process that compute for requests."""

    def __init__(self) -> None:
        self._turns = Turns(AT_ONCE)
        self._threads = CapacityLimiter(AT_ONCE)

    async def run(self, owner: str, characters: int, work: Callable[..., Result], *given: object) -> Result:
        """What `work` gives for what it is given.

        Args:
            characters: how large the request is.
        Raises:
            TooManyAtOnce: the owner has as many large requests waiting as it may.
        """
        return work(*given) if characters <= SMALL else await self.in_turn(owner, work, *given)

    async def in_turn(self, owner: str, work: Callable[..., Result], *given: object) -> Result:
        """The same for work that a small request can make large: always in a thread, in the owner's turn.

        Raises:
            TooManyAtOnce: as `run` does.
        """
        async with self._turns.turn(owner):
            return await to_thread.run_sync(partial(work, *given), limiter=self._threads)
