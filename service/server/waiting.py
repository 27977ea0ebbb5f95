"""Connections that wait for their client, in the order in which they began to: a queue for each thing to wait for.

A connection whose request is being answered waits for nobody and is in no queue. To enter and to leave takes no longer
for many than for a few: those of a queue may wait for equally long, so who entered first is over first.
"""

import asyncio
from collections import OrderedDict
from typing import Protocol

from service.server.bounds import PIECE


class Waiter(Protocol):
    """A connection."""

    queue: "Queue | None"

    def waited(self) -> None:
        """It has waited for as long as it may."""

    def make_room(self) -> None:
        """Its place is needed for another one."""


class Queue(OrderedDict[Waiter, float]):
    """Connections that wait for the same, and since when; the first one has waited longest.

    Args:
        seconds: how long each may wait.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def first(self) -> tuple[Waiter, float]:
        """Who has waited longest, and since when; the queue is not empty."""
        return next(iter(self.items()))


class Waiting:
    """All connections of a server that wait.

    Attributes:
        head: those that wait for the header of a request, of which nothing or a part has come.
        rest: for the rest of a body that nobody reads, because its request is answered.
        idle: for the next request.
        piece: where what comes next is read to, of whichever connection.
        open: how many connections the server has, also of those that do not wait.
    """

    def __init__(self, *, head: float, rest: float, idle: float) -> None:
        self.head, self.rest, self.idle = Queue(head), Queue(rest), Queue(idle)
        self.open = 0
        self.piece = memoryview(bytearray(PIECE))
        self._queues = (self.head, self.rest, self.idle)
        self._pause = min(1.0, min(queue.seconds for queue in self._queues) / 4)
        self._next_look: asyncio.TimerHandle | None = None

    def enter(self, waiter: Waiter, queue: Queue | None) -> None:
        """A connection begins to wait for something else, or for nobody."""
        if waiter.queue is not None:
            waiter.queue.pop(waiter, None)
        waiter.queue = queue
        if queue is not None:
            loop = asyncio.get_running_loop()
            queue[waiter] = loop.time()
            if self._next_look is None:
                self._next_look = loop.call_later(self._pause, self._look)

    def make_room(self) -> bool:
        """End the connection that has waited longest; False where none waits."""
        firsts = [queue.first() for queue in self._queues if queue]
        if not firsts:
            return False
        waiter, _ = min(firsts, key=lambda first: first[1])
        self.enter(waiter, None)
        waiter.make_room()
        return True

    def _look(self) -> None:
        loop, self._next_look = asyncio.get_running_loop(), None
        for queue in self._queues:
            while queue:
                waiter, since = queue.first()
                if since + queue.seconds > loop.time():
                    break
                self.enter(waiter, None)
                waiter.waited()
        if self._next_look is None and any(self._queues):
            self._next_look = loop.call_later(self._pause, self._look)
