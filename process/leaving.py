"""Whether the client that something is done for is still there: what only waits for its turn is not begun without it.

A server learns that a client has gone, and says so where it is asked; nothing asks while a request waits. So the
request says how to ask, and `process.turns` does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Returns once the client has gone.
Leaves = Callable[[], Awaitable[None]]

_CLIENT: ContextVar[Leaves | None] = ContextVar("returns once the client has gone", default=None)


class ClientLeft(Exception):
    """The client has closed its connection, so nobody reads the answer."""


def client_leaves(leaves: Leaves) -> None:
    """Says how to learn that the client has gone, for what the running task does from here on."""
    _CLIENT.set(leaves)


@contextmanager
def once_left(forget: Callable[[], None]) -> Iterator[None]:
    """Has `forget` called if the client goes while the block runs; never where nobody said how to learn of it."""
    leaves = _CLIENT.get()
    if leaves is None:
        yield
        return
    watching = asyncio.ensure_future(leaves())

    def left(watched: "asyncio.Future[None]") -> None:
        if not watched.cancelled() and watched.exception() is None:
            forget()

    watching.add_done_callback(left)
    try:
        yield
    finally:
        watching.cancel()
