"""Whom to send to next: a receiver that stalls, or that many ends are due for, does not hold up the others.

Each receiver, which is a host and port, is sent to by few attempts at a time; a few more claims wait for them in this
process; what is beyond that is put off, each by a little more than the one before, so that a long backlog of one
receiver comes back thinly spread.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

#: Attempts at one receiver that are under way at once, and claims of one receiver in this process.
AT_A_TIME, IN_HAND = 8, 32
#: Seconds by which what is put off first is put off, and at most.
SOON, LATEST = 1.0, 60.0


@dataclass
class _Receiver:
    door: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))
    in_hand: int = 0
    put_off: int = 0


class Receivers:
    """Those that this process has something in hand for."""

    def __init__(self) -> None:
        self._of: dict[str, _Receiver] = {}

    def put_off(self, url: str) -> float | None:
        """By how many seconds a claim is to be put off; None if it may come in, which it then has."""
        receiver = self._of.setdefault(_place(url), _Receiver())
        if receiver.in_hand < IN_HAND:
            receiver.in_hand += 1
            return None
        receiver.put_off += 1
        return min(LATEST, SOON * (1 + receiver.put_off // IN_HAND))

    @asynccontextmanager
    async def turn(self, url: str) -> AsyncIterator[None]:
        """Wait for one's turn at a receiver where one has come in; go out again at the end, whatever happens."""
        place = _place(url)
        receiver = self._of[place]
        try:
            async with receiver.door:
                yield
        finally:
            receiver.in_hand -= 1
            if not receiver.in_hand:
                del self._of[place]


def _place(url: str) -> str:
    return httpx.URL(url).netloc.decode("ascii").lower()
