"""Followers of streams: each receives every event once, however it comes, and holds nobody up."""

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from jobs.follow.feed import _RedisSubscription
from jobs.follow.followed import LOG
from jobs.follow.followers import Followers
from tests.heard_feed import KEY, HeardFeed, run, taken
from tests.patience import ANSWER


async def deaf_to_cancellation() -> None:
    """Waits, and takes a cancellation for the end of it, as `asyncio.wait_for` of Python 3.11 may."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)


def ends(work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Whether something comes to its end; in a thread, for nothing could cancel what hangs here."""
    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    thread.join(ANSWER)
    return not thread.is_alive()


class DeafFeed(HeardFeed):
    """A feed in which one call loses a cancellation.

    Attributes:
        call: which one.
        waits: set once it waits.
    """

    def __init__(self, call: str) -> None:
        super().__init__()
        self.call, self.waits = call, asyncio.Event()

    async def _lose(self, call: str) -> None:
        if call == self.call:
            self.waits.set()
            await deaf_to_cancellation()

    async def read(
        self, after: Mapping[str, str], followed: Collection[str] = ()
    ) -> Mapping[str, Sequence[tuple[str, str]] | None]:
        await self._lose("read")
        return await super().read(after, followed)

    async def change(self, joined: Collection[str], left: Collection[str]) -> None:
        await self._lose("change")
        await super().change(joined, left)


@pytest.mark.parametrize("call", ["read", "change"])
def test_followers_end_though_a_call_to_redis_loses_their_cancellation(call):
    async def whole() -> None:
        feed = DeafFeed(call)
        async with Followers(feed) as followers:
            with followers.follow(KEY):
                await feed.waits.wait()

    assert ends(whole)


def test_a_subscription_ends_though_redis_py_loses_its_cancellation():
    class Silent:
        """Of redis-py's, what is asked of it."""

        def __init__(self) -> None:
            self.waits = asyncio.Event()

        async def get_message(self, timeout: float) -> None:
            self.waits.set()
            await deaf_to_cancellation()

        async def ping(self) -> None:
            """Sent."""

    async def hear(silent: Silent) -> None:
        async for _ in _RedisSubscription(silent).news():
            raise AssertionError

    async def whole() -> None:
        silent = Silent()
        hearing = asyncio.create_task(hear(silent))
        await silent.waits.wait()
        hearing.cancel()
        await asyncio.wait({hearing})

    assert ends(whole)


def test_a_follower_receives_what_was_before_it_and_what_comes_after():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY) as follower:
            assert await taken(follower, 1) == ["queued"]
            feed.add("started")
            assert await taken(follower, 1) == ["started"]

    run(test)


def test_a_follower_that_comes_back_receives_what_came_since():
    async def test(feed, followers):
        feed.add("queued")
        seen = feed.add("started")
        feed.add("succeeded")
        with followers.follow(KEY, after=seen) as follower:
            assert await taken(follower, 1) == ["succeeded"]
            assert follower.is_done

    run(test)


def test_many_followers_of_a_stream_share_one_read():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY) as first, followers.follow(KEY) as second, followers.follow(KEY) as third:
            for follower in (first, second, third):
                assert await taken(follower, 1) == ["queued"]
            feed.add("started")
            for follower in (first, second, third):
                assert await taken(follower, 1) == ["started"]
            # One as its first follower came, one as the subscription was confirmed.
            assert len(feed.reads) <= 2

    run(test)


def test_an_event_that_nobody_heard_is_read_when_the_next_is_heard():
    """Written by a worker of the version before, or by a Redis user that may not publish."""

    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY) as follower:
            assert await taken(follower, 1) == ["queued"]
            feed.add("started", is_heard=False)
            feed.add("progress 1/3")
            assert await taken(follower, 2) == ["started", "progress"]

    run(test)


def test_an_event_that_nobody_heard_is_read_after_a_while_where_none_follows():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY) as follower:
            assert await taken(follower, 1) == ["queued"]
            feed.add("succeeded", is_heard=False)
            assert await taken(follower, 1) == ["succeeded"]

    run(test, check_seconds=0.1)


def test_a_broken_connection_loses_and_repeats_nothing():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY) as follower:
            assert await taken(follower, 1) == ["queued"]
            feed.break_connection()
            feed.add("started", is_heard=False)
            assert await taken(follower, 1) == ["started"]
            while KEY not in feed.joined:
                await asyncio.sleep(0.01)
            feed.add("succeeded")
            assert await taken(follower, 1) == ["succeeded"]

    run(test)


def test_followers_outlast_a_redis_that_does_not_answer():
    async def test(feed, followers):
        feed.add("queued")
        feed.is_down = True
        with followers.follow(KEY) as follower:
            waiting = asyncio.create_task(taken(follower, 1))
            while not feed.reads:
                await asyncio.sleep(0.01)
            assert not waiting.done()
            feed.is_down = False
            assert await waiting == ["queued"]

    run(test)


def test_a_slow_follower_reads_again_what_is_in_memory_no_longer():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY) as quick, followers.follow(KEY) as slow:
            assert await taken(slow, 1) == await taken(quick, 1) == ["queued"]
            for step in range(2 * LOG):
                feed.add(f"progress {step}/{2 * LOG}")
                assert await taken(quick, 1) == ["progress"]
            assert len(slow.stream.log) == LOG
            before = len(feed.reads)
            assert len(await taken(slow, 2 * LOG)) == 2 * LOG
            assert len(feed.reads) == before + 1

    run(test)


def test_a_slow_follower_goes_on_behind_what_the_stream_itself_has_dropped():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY) as quick, followers.follow(KEY) as slow:
            assert await taken(slow, 1) == await taken(quick, 1) == ["queued"]
            for step in range(2 * LOG):
                feed.add(f"progress {step}/{2 * LOG}")
                await taken(quick, 1)
            feed.streams[KEY] = []
            assert len(await taken(slow, LOG)) == LOG

    run(test)
