"""Answers that clients have not read yet: how many bytes they are in all, and who is ended where they are too many.

uvicorn hands an answer to the connection whole, and what the client's system does not take lies in memory until it
does. Eight thousand clients that never read the page's largest file would have 10 GB there.
"""

import asyncio
from collections.abc import Callable

from layers.connections.bounds import MOST_UNREAD, Bounds
from layers.connections.waiting import Waiting


class Unread:
    """The bytes of all connections of a server that were sent, and that no client's system has taken.

    Attributes:
        total: as each connection told last; clients may have read some of it since.
    """

    def __init__(self, waiting: Waiting, most: int = MOST_UNREAD) -> None:
        self._waiting, self._most = waiting, most
        self.total = 0

    def more(self, count: int) -> None:
        """So many bytes more; where they are too many now, those are ended that have read nothing for longest."""
        self.total += count
        # To look for the first one may show that others have read, which is enough then.
        while self.total > self._most and (first := self._waiting.first_unread()) and self.total > self._most:
            first.not_read()

    def fewer(self, count: int) -> None:
        """So many bytes are read."""
        self.total -= count


class UnreadAnswer:
    """What one client has yet to read, and by when.

    Args:
        everything: that of all clients.
        not_read: called when it has taken longer than it may.
    """

    def __init__(
        self, transport: asyncio.Transport, everything: Unread, bounds: Bounds, not_read: Callable[[], None]
    ) -> None:
        self._transport, self._everything, self._bounds, self._not_read = transport, everything, bounds, not_read
        self._sent, self._sent_at, self._left = 0, 0.0, 0
        self._next_look: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The client's system does not take all that it is sent."""
        loop = asyncio.get_running_loop()
        self._sent = self._left = self._transport.get_write_buffer_size()
        self._sent_at = loop.time()
        self._next_look = loop.call_later(self._bounds.send_seconds, self._look)
        self._everything.more(self._left)

    def end(self) -> None:
        """Nothing is left."""
        self._everything.fewer(self._left)
        self._left = 0
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None

    def forget(self) -> None:
        """The connection is over: refer to it no more."""
        self._not_read = lambda: None

    def has_read(self) -> bool:
        """Whether the client has read something since this was asked last."""
        read = max(0, self._left - self._transport.get_write_buffer_size())
        self._left -= read
        self._everything.fewer(read)
        return read > 0

    def _look(self) -> None:
        # Nothing is added meanwhile: the application may send again once all was read.
        loop = asyncio.get_running_loop()
        read = max(0, self._sent - self._transport.get_write_buffer_size())
        until = self._sent_at + self._bounds.send_seconds + read / self._bounds.min_rate
        if (left := until - loop.time()) > 0:
            self._next_look = loop.call_later(left, self._look)
        else:
            self._not_read()
