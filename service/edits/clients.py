"""Clients that hold a connection: counted, and gone at once when their connection is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.types import Receive

from jobs.follow.followed import Follower
from service.api_keys import Caller
from service.http.leaving import gone
from service.plane import Plane


@asynccontextmanager
async def waiting(plane: Plane, caller: Caller, key: str, receive: Receive) -> AsyncIterator[Follower]:
    """A follower that waits for the end of a stream.

    Raises:
        TooManyStreams: the caller has as many waits and streams open as it may.
    """
    with plane.stream_bound.held(caller), plane.followers.follow(key, only_end=True) as follower:
        async with leaving(follower, receive):
            yield follower


@asynccontextmanager
async def leaving(follower: Follower, receive: Receive) -> AsyncIterator[None]:
    """Has a follower leave when its client closes the connection."""

    async def watch() -> None:
        await gone(receive)
        follower.leave()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
