"""Whom to send to next: a receiver that stalls, or an owner that many ends are due for, does not hold up the others.

Each receiver, which is a host and port, and each owner is sent to by few attempts at a time; a few more claims wait for
them in this process; what is beyond that is put off, each by a little more than the one before, so that a long backlog
comes back thinly spread. An owner may name as many receivers as it likes: its own bound holds for all of them together.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

#: Attempts at one receiver that are under way at once, and claims of one receiver in this process.
AT_A_TIME, IN_HAND = 8, 32
#: The same of one owner: a quarter of all that a sender has in hand.
OF_OWNER_AT_A_TIME, OF_OWNER_IN_HAND = 32, 64
#: Seconds by which what is put off first is put off, and at most.
SOON, LATEST = 1.0, 60.0


@dataclass
class _Bounded:
    """A receiver or an owner."""

    at_a_time: int
    most: int
    in_hand: int = 0
    put_off: int = 0
    door: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.door = asyncio.Semaphore(self.at_a_time)


class Receivers:
    """Those that this process has something in hand for, with its owners."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], _Bounded] = {}

    def put_off(self, url: str, owner: str) -> float | None:
        """By how many seconds a claim is to be put off; None if it may come in, which it then has."""
        both = self._bounds(url, owner)
        for each in both:
            if each.in_hand >= each.most:
                each.put_off += 1
                return min(LATEST, SOON * (1 + each.put_off // each.most))
        for each in both:
            each.in_hand += 1
        return None

    @asynccontextmanager
    async def turn(self, url: str, owner: str) -> AsyncIterator[None]:
        """Wait for one's turn where one has come in; go out again at the end, whatever happens."""
        of_owner, receiver = self._bounds(url, owner)
        try:
            async with receiver.door, of_owner.door:
                yield
        finally:
            for each in (of_owner, receiver):
                each.in_hand -= 1
            self._of = {name: each for name, each in self._of.items() if each.in_hand}

    def _bounds(self, url: str, owner: str) -> tuple[_Bounded, _Bounded]:
        place = httpx.URL(url).netloc.decode("ascii").lower()
        return (
            self._of.setdefault(("owner", owner), _Bounded(OF_OWNER_AT_A_TIME, OF_OWNER_IN_HAND)),
            self._of.setdefault(("receiver", place), _Bounded(AT_A_TIME, IN_HAND)),
        )
