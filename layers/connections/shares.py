"""How much of what comes is taken in one turn of the event loop, of all connections of a server together.

It would else be taken as soon as it comes: forty connections with 16 KiB of one-byte chunks each hold the loop for more
than half a second, a hundred with a request each for 50 ms, and nobody else is answered meanwhile. To answer a request
takes several turns, so that shorter turns let it end sooner.

So a few pieces are taken in a turn, in the order in which they came. And one share is parsed of what takes longer: very
many chunks, requests that were sent before the last answer was there, and what comes after the last answer.
"""

import asyncio
from collections import deque
from typing import Protocol

from layers.connections.bounds import TAKEN_IN_A_TURN


class Sharer(Protocol):
    """A connection with something left to parse."""

    def take_share(self) -> None:
        """Parse one share; enters again where something is left."""


class Shares:
    """The connections of a server with something left to parse, in the order in which they came."""

    def __init__(self) -> None:
        self._pieces: deque[Sharer] = deque()
        self._long: deque[Sharer] = deque()
        self._left = TAKEN_IN_A_TURN
        self._is_turning = False

    def may_take(self) -> bool:
        """Whether one more piece may be taken in this turn; counts it."""
        if self._left == 0:
            return False
        self._left -= 1
        if not self._is_turning:
            self._turn_again()
        return True

    def take(self, sharer: Sharer) -> None:
        """A connection has a piece that waits for its turn."""
        self._pieces.append(sharer)
        self._turn_again()

    def go_on(self, sharer: Sharer) -> None:
        """A connection has more to parse than is parsed at once."""
        self._long.append(sharer)
        self._turn_again()

    def _turn_again(self) -> None:
        if not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_turning = False
        if not (self._pieces or self._long):
            self._left = TAKEN_IN_A_TURN
            return
        taken = [self._pieces.popleft() for _ in range(min(len(self._pieces), TAKEN_IN_A_TURN))]
        self._left = TAKEN_IN_A_TURN - len(taken)
        if self._long:
            taken.append(self._long.popleft())
        loop = asyncio.get_running_loop()
        for sharer in taken:
            loop.call_soon(sharer.take_share)  # apart from each other: an error in one is not the others'
        self._turn_again()
