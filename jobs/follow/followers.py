"""All followers of this process: one subscription hears for them, one reader reads for them, few are woken at a time.

Correctness does not rest on the subscription. A stream is read when its subscription is confirmed, which every
reconnection does anew; when an event is heard whose predecessor was not (`Followed.hear`); and every `CHECK_SECONDS`.
Without a subscription followers are served by the last of these alone.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any

import redis

from jobs.follow.cancellation import heed_cancellation
from jobs.follow.feed import START, Feed, News, Subscription
from jobs.follow.followed import Followed, Follower, id_of

log = logging.getLogger(__name__)

#: Seconds after which a stream that was not read is read again: finds one that was erased, or what nobody published.
CHECK_SECONDS = 5.0
#: Seconds between two looks for streams to be read again, and how many of them each look takes.
LOOK_SECONDS, LOOK_MOST = 0.25, 500
#: Streams in one round trip: packing their commands holds the event loop for a millisecond.
READ_AT_ONCE = 50
#: The same while there is no subscription.
UNHEARD_SECONDS = 1.0
#: Seconds until Redis is tried again after an error.
RETRY_SECONDS = 0.5
#: Followers that are resumed in one turn of the event loop. Each writes to its socket, which takes about 0.1 ms; a
#: request that comes meanwhile waits for one turn at a time.
RESUMED_AT_ONCE = 1


class Followers:
    """What routes follow streams through; an async context manager, which runs its tasks.

    Args:
        check_seconds: see `CHECK_SECONDS`.
    """

    def __init__(self, feed: Feed, *, check_seconds: float = CHECK_SECONDS) -> None:
        self._feed, self._check_seconds = feed, check_seconds
        # By key, the one that was read longest ago first.
        self._streams: dict[str, Followed] = {}
        self._unread: dict[Followed, None] = {}
        self._joined: set[str] = set()
        self._left: set[str] = set()
        self._ready: deque[Follower] = deque()
        self._is_resuming = self._hears = False
        self._tasks = AsyncExitStack()

    async def __aenter__(self) -> "Followers":
        self._has_unread, self._has_changed = asyncio.Event(), asyncio.Event()
        for work in (self._listen, self._read, self._check):
            await self._tasks.enter_async_context(_running(work()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.aclose()

    @contextmanager
    def follow(self, key: str, *, after: str = START, only_end: bool = False) -> Iterator[Follower]:
        """A follower of a stream for as long as the block runs.

        Args:
            after: the id of the last event that the client has seen.
            only_end: whether nothing but the stream's end is of interest.
        """
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Followed(key, self._wake)
            self._left.discard(key)
            # Also where it is subscribed still: the confirmation has it read.
            self._joined.add(key)
            self._has_changed.set()
            stream.checked_at = time.monotonic()
            if not self._hears:
                self._have_read(stream)
        elif not only_end and not stream.is_read_by_steps:
            # The reading says that it is followed.
            self._have_read(stream)
        follower = Follower(stream, self._feed, self._wake, after=after, only_end=only_end)
        stream.followers.add(follower)
        try:
            yield follower
        finally:
            follower.close()
            stream.followers.discard(follower)
            if not stream.followers and self._streams.get(key) is stream:
                del self._streams[key]
                self._unread.pop(stream, None)
                self._joined.discard(key)
                self._left.add(key)
                self._has_changed.set()

    def count(self) -> int:
        """How many followers there are."""
        return sum(len(stream.followers) for stream in self._streams.values())

    def _wake(self, follower: Follower) -> None:
        if not follower.is_queued:
            follower.is_queued = True
            self._ready.append(follower)
            if not self._is_resuming:
                self._is_resuming = True
                asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        for _ in range(min(RESUMED_AT_ONCE, len(self._ready))):
            self._ready.popleft().resume()
        self._is_resuming = bool(self._ready)
        if self._is_resuming:
            # In the loop's next turn, after what has come in from sockets meanwhile.
            asyncio.get_running_loop().call_soon(self._resume)

    async def _listen(self) -> None:
        is_known = False
        while True:
            try:
                async with self._feed.subscription() as subscription, asyncio.TaskGroup() as both:
                    self._joined, self._left = set(self._streams), set()
                    self._has_changed.set()
                    self._hears = True
                    both.create_task(self._change(subscription))
                    async for news in subscription.news():
                        is_known = False
                        self._hear(news)
            except* Exception as errors:
                # Once for an outage: events are late meanwhile, and no follower is lost.
                level = logging.DEBUG if is_known else logging.WARNING
                log.log(level, "events are not heard, and are read: %s", errors.exceptions[0])
                is_known = True
            self._hears = False
            await asyncio.sleep(RETRY_SECONDS)

    async def _change(self, subscription: Subscription) -> None:
        while True:
            heed_cancellation()
            await self._has_changed.wait()
            self._has_changed.clear()
            joined, left = self._joined, self._left
            self._joined, self._left = set(), set()
            await subscription.change(joined, left)

    def _hear(self, news: News) -> None:
        stream = self._streams.get(news.key)
        if stream is not None and (news.before is None or not stream.hear(news.before, news.id, news.text)):
            self._have_read(stream)

    def _have_read(self, stream: Followed) -> None:
        self._unread[stream] = None
        self._has_unread.set()

    async def _read(self) -> None:
        while True:
            heed_cancellation()
            await self._has_unread.wait()
            streams = list(self._unread)[:READ_AT_ONCE]
            for stream in streams:
                del self._unread[stream]
            if not self._unread:
                self._has_unread.clear()
            try:
                by_steps = [stream.key for stream in streams if stream.is_read_by_steps]
                found = await self._feed.read({stream.key: id_of(stream.last) for stream in streams}, by_steps)
            except Exception as error:
                if not isinstance(error, redis.RedisError):
                    log.exception("streams cannot be read")
                for stream in streams:
                    if self._streams.get(stream.key) is stream:
                        self._have_read(stream)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            now = time.monotonic()
            for stream in streams:
                if self._streams.get(stream.key) is stream:
                    stream.checked_at = now
                    self._streams[stream.key] = self._streams.pop(stream.key)
                    stream.read(found[stream.key])

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            before = time.monotonic() - (self._check_seconds if self._hears else UNHEARD_SECONDS)
            for number, stream in enumerate(self._streams.values()):
                if number == LOOK_MOST or stream.checked_at > before:
                    break
                self._have_read(stream)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
