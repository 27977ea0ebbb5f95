"""Turns at what only a few may do at a time: each owner waits in a queue of its own, and the owners take turns.

Where there are at least two places, no owner has all of them: of two owners, the second never waits for the first one's
work. An owner that asks for too much at once is refused, so that what waits stays bounded.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from process.leaving import ClientLeft, once_left

#: Requests of one owner that may wait for one kind of work at one API process. A batch of a client's own takes its
#: turns one after the other; this many at the same time are no client's way of working.
MOST_WAITING = 32


class TooManyAtOnce(Exception):
    """An owner has as many requests waiting for one kind of work as may wait in one process.

    Attributes:
        retry_after: seconds until it may be taken.
    """

    code = "too_many_at_once"
    retry_after = 1.0

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} requests of this key wait for their turn: wait for some of their answers")


class Turns:
    """Places for work of one kind, within one process.

    Args:
        at_once: how many there are.
        of_owner: how many of them an owner may have; all but one where absent, and at least one.
        waiting: how many more of an owner may wait.
    """

    def __init__(self, at_once: int, *, of_owner: int | None = None, waiting: int = MOST_WAITING) -> None:
        self._at_once, self._of_owner = at_once, of_owner or max(1, at_once - 1)
        self._most_waiting = waiting
        self._working: Counter[str] = Counter()
        #: By owner, the one whose turn is next first.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """Waits for an owner's turn and has a place for as long as the block runs.

        Raises:
            TooManyAtOnce: as many of this owner wait as may.
            ClientLeft: the client closed its connection while it waited (`process.leaving`).
        """
        await self.enter(owner)
        try:
            yield
        finally:
            self.leave(owner)

    def count(self, owner: str) -> tuple[int, int]:
        """How many of an owner work, and how many wait."""
        return self._working[owner], len(self._waiting.get(owner, ()))

    async def enter(self, owner: str) -> None:
        """`turn` for work that ends elsewhere: then `leave` is called, once."""
        if owner not in self._waiting and self._has_place(owner):
            self._working[owner] += 1
            return
        queue = self._waiting.setdefault(owner, deque())
        if len(queue) >= self._most_waiting:
            raise TooManyAtOnce(len(queue))
        place = asyncio.get_running_loop().create_future()
        queue.append(place)
        try:
            # Otherwise all that a client sent before it went is done for nobody, and its next request waits for that.
            with once_left(lambda: self._forget(owner, place)):
                await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave(owner)  # its turn came in the moment in which its client went
            elif not place.done() or place.cancelled():
                self._take_out(owner, place)
            raise

    def leave(self, owner: str) -> None:
        """An owner's work is done: the next one's begins."""
        self._working[owner] -= 1
        if not self._working[owner]:
            del self._working[owner]
        while (following := next(filter(self._has_place, self._waiting), None)) is not None:
            # Behind all others, until its turn comes again.
            queue = self._waiting.pop(following)
            place = queue.popleft()
            if queue:
                self._waiting[following] = queue
            self._working[following] += 1
            place.set_result(None)

    def _forget(self, owner: str, place: "asyncio.Future[None]") -> None:
        if not place.done():  # else its turn has come: what it does is bounded
            self._take_out(owner, place)
            place.set_exception(ClientLeft())

    def _take_out(self, owner: str, place: "asyncio.Future[None]") -> None:
        queue = self._waiting[owner]
        queue.remove(place)
        if not queue:
            del self._waiting[owner]

    def _has_place(self, owner: str) -> bool:
        return self._working.total() < self._at_once and self._working[owner] < self._of_owner
