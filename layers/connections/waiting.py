"""Connections that wait for their client, in the order in which they began to: a queue for each thing to wait for.

A connection that waits for the service itself is in no queue. To enter and to leave takes no longer for many than for a
few: those of a queue may wait for equally long, so who entered first is over first.
"""

import asyncio
import math
from collections import OrderedDict
from typing import Protocol

from layers.connections.bounds import MOST_ENDED, PIECE


class Waiter(Protocol):
    """A connection."""

    queue: "Queue | None"

    def waited(self) -> None:
        """It has waited for as long as it may."""

    def make_room(self) -> None:
        """Its place is needed for another one."""

    def has_read(self) -> bool:
        """Whether the client has read something of its answer since this was asked last."""

    def not_read(self) -> None:
        """The client does not read its answer."""


class Queue(OrderedDict[Waiter, float]):
    """Connections that wait for the same, and since when; the first one has waited longest.

    Args:
        seconds: how long each may wait; infinite where somebody else keeps the time.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        super().__init__()
        self.seconds = seconds

    def first(self) -> tuple[Waiter, float]:
        """Who has waited longest, and since when; the queue is not empty."""
        return next(iter(self.items()))


class Waiting:
    """All connections of a server that wait.

    Attributes:
        head: those that wait for the header of a request, of which nothing or a part has come.
        body: for more of a body, since something came of it last. `layers.body_pace` keeps the time.
        rest: for the rest of a body that nobody reads, because its request is answered.
        idle: for the next request.
        answer: for the client to read what it was sent, since it was sent. Each connection keeps the time itself.
        ended: for the client to read the last answer; not counted as open.
        piece: where what comes next is read to, of whichever connection.
        open: how many connections the server has, also of those that do not wait.
    """

    def __init__(self, *, head: float, rest: float, idle: float) -> None:
        self.head, self.rest, self.idle, self.ended = Queue(head), Queue(rest), Queue(idle), Queue(rest)
        self.body, self.answer = Queue(), Queue()
        self.open = 0
        self.piece = memoryview(bytearray(PIECE))
        self._timed = (self.head, self.rest, self.idle, self.ended)
        self._making_room = (self.head, self.body, self.rest, self.idle, self.answer)
        self._pause = min(1.0, min(queue.seconds for queue in self._timed) / 4)
        self._next_look: asyncio.TimerHandle | None = None

    def enter(self, waiter: Waiter, queue: Queue | None) -> None:
        """A connection begins to wait for something else, or for nobody; or for the same anew."""
        if waiter.queue is not None:
            waiter.queue.pop(waiter, None)
        waiter.queue = queue
        if queue is not None:
            loop = asyncio.get_running_loop()
            queue[waiter] = loop.time()
            if self._next_look is None and queue.seconds < math.inf:
                self._next_look = loop.call_later(self._pause, self._look)
            if queue is self.ended and len(queue) > MOST_ENDED:
                self._over(queue.first()[0])

    def make_room(self) -> bool:
        """End the connection whose client has done nothing for longest; False where none waits."""
        self.first_unread()
        firsts = [queue.first() for queue in self._making_room if queue]
        if not firsts:
            return False
        waiter, _ = min(firsts, key=lambda first: first[1])
        self.enter(waiter, None)
        waiter.make_room()
        return True

    def first_unread(self) -> Waiter | None:
        """Whose client has read nothing of its answer for longest; None if each has read all.

        What a client reads is not told, and so is asked for here: one that has read something is the last again.
        """
        while self.answer:
            waiter, _ = self.answer.first()
            if not waiter.has_read():
                return waiter
            self.enter(waiter, self.answer)
        return None

    def _over(self, waiter: Waiter) -> None:
        self.enter(waiter, None)
        waiter.waited()

    def _look(self) -> None:
        loop, self._next_look = asyncio.get_running_loop(), None
        for queue in self._timed:
            while queue:
                waiter, since = queue.first()
                if since + queue.seconds > loop.time():
                    break
                self._over(waiter)
        if self._next_look is None and any(self._timed):
            self._next_look = loop.call_later(self._pause, self._look)
