"""Followers of streams: each receives every event once, however it comes, and holds nobody up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis

from jobs import moves
from jobs.follow.feed import News, _RedisSubscription
from jobs.follow.followed import LOG, Follower, StreamEvent
from jobs.follow.followers import Followers
from jobs.model import new_job
from jobs.redis import keys
from jobs.redis.record import plain_of
from jobs.testing import AsyncInMemoryJobStore, InMemoryJobStore
from service.edits import event_stream
from service.edits.event_stream import encoded
from service.edits.following import ended, events
from tests.edits import CAT_TO_DOG
from tests.patience import ANSWER

KEY = "job:1:events"


class HeardFeed:
    """A feed whose streams are lists, and which says what it is told to say.

    Attributes:
        streams: what a read gives.
        reads: which streams each read asked for.
        followed: which streams each read said to be followed.
        is_down: whether Redis does not answer.
    """

    def __init__(self) -> None:
        self.streams: dict[str, list[tuple[str, str]]] = {}
        self.reads: list[set[str]] = []
        self.followed: list[set[str]] = []
        self.is_down = False
        self._said: asyncio.Queue[News | Exception] = asyncio.Queue()
        self.joined: set[str] = set()

    def add(self, text: str, *, key: str = KEY, is_heard: bool = True) -> str:
        """A new event; gives its id."""
        stream = self.streams.setdefault(key, [])
        before, event_id = (stream[-1][0] if stream else "0-0"), f"{len(stream) + 1}-0"
        stream.append((event_id, text))
        if is_heard and key in self.joined:
            self._said.put_nowait(News(key, before, event_id, text))
        return event_id

    def break_connection(self) -> None:
        """What is said until it is made anew, nobody hears."""
        self.joined.clear()
        self._said.put_nowait(redis.ConnectionError("broken"))

    async def read(
        self, after: Mapping[str, str], followed: Collection[str] = ()
    ) -> Mapping[str, Sequence[tuple[str, str]] | None]:
        self.reads.append(set(after))
        self.followed.append(set(followed))
        await asyncio.sleep(0)
        if self.is_down:
            raise redis.ConnectionError("down")
        return {
            key: [entry for entry in self.streams[key] if int(entry[0][:-2]) > int(event_id.split("-")[0])]
            if key in self.streams
            else None
            for key, event_id in after.items()
        }

    @asynccontextmanager
    async def subscription(self) -> AsyncIterator["HeardFeed"]:
        if self.is_down:
            raise redis.ConnectionError("down")
        yield self

    async def change(self, joined: Collection[str], left: Collection[str]) -> None:
        self.joined = (self.joined - set(left)) | set(joined)
        for key in joined:
            self._said.put_nowait(News(key))

    async def news(self) -> AsyncIterator[News]:
        while True:
            said = await self._said.get()
            if isinstance(said, Exception):
                raise said
            yield said


def run(test: Callable[[HeardFeed, Followers], Awaitable[None]], **settings: float) -> None:
    """A test with followers over a feed."""

    async def whole() -> None:
        feed = HeardFeed()
        async with Followers(feed, **settings) as followers, asyncio.timeout(20):
            await test(feed, followers)

    asyncio.run(whole())


async def taken(follower: Follower, count: int) -> list[str]:
    """The names of the next events of a follower."""
    found: list[StreamEvent] = []
    while len(found) < count:
        await follower.wait(10)
        found += await follower.take()
    assert len({event.id for event in found}) == len(found)
    return [event.name for event in found]


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


def test_who_waits_for_the_end_is_not_woken_before():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY, only_end=True) as follower:
            waiting = asyncio.create_task(follower.wait(10))
            with followers.follow(KEY) as other:
                feed.add("started")
                assert await taken(other, 2) == ["queued", "started"]
                assert not waiting.done()
                feed.add("succeeded")
                assert await taken(other, 1) == ["succeeded"]
            await waiting
            assert follower.stream.end.name == "succeeded"

    run(test)


def test_a_stream_is_said_to_be_followed_where_a_client_reads_it_by_steps():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY, only_end=True) as waiting:
            while not waiting.stream.is_read:
                await asyncio.sleep(0.01)
            assert not any(feed.followed)
            with followers.follow(KEY) as reading:
                # At once, though the stream was read already.
                while KEY not in set().union(*feed.followed):
                    await asyncio.sleep(0.01)
                assert await taken(reading, 1) == ["queued"]

    run(test, check_seconds=1000)


def test_a_stream_that_has_ended_is_followed_no_longer():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY) as follower:
            assert await taken(follower, 1) == ["queued"]
            feed.add("succeeded")
            assert await taken(follower, 1) == ["succeeded"]
            reads = len(feed.reads)
            while len(feed.reads) < reads + 3:
                await asyncio.sleep(0.01)
            assert not any(feed.followed[reads + 1 :])

    run(test, check_seconds=0.01)


def test_a_client_that_leaves_is_let_go_at_once_and_its_stream_with_it():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY, only_end=True) as follower:
            waiting = asyncio.create_task(follower.wait(1000))
            while KEY not in feed.joined:
                await asyncio.sleep(0.01)
            follower.leave()
            await waiting
        while KEY in feed.joined:
            await asyncio.sleep(0.01)
        assert followers.count() == 0

    run(test)


def test_who_follows_a_stream_again_that_is_just_left_hears_of_it():
    async def test(feed, followers):
        feed.add("queued")
        for _ in range(3):
            with followers.follow(KEY) as follower:
                assert await taken(follower, 1) == ["queued"]
        with followers.follow(KEY) as follower:
            assert await taken(follower, 1) == ["queued"]
            feed.add("started")
            assert await taken(follower, 1) == ["started"]

    run(test)


def test_time_that_runs_out_has_a_follower_go_on():
    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY, only_end=True) as follower:
            await follower.wait(0.3)
            await follower.wait(0.1)
            assert follower.stream.end is None

    run(test)


def test_what_all_followers_of_a_stream_need_is_made_once():
    made = []

    async def make() -> str:
        made.append(1)
        await asyncio.sleep(0.01)
        return "answer"

    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY) as first, followers.follow(KEY) as second:
            assert await asyncio.gather(first.once("a", make), second.once("a", make)) == ["answer", "answer"]
            assert await first.once("a", make) == "answer"
        assert len(made) == 1

    run(test)


def test_what_failed_for_all_followers_is_made_again():
    async def fail() -> str:
        raise redis.ConnectionError("down")

    async def give() -> str:
        return "answer"

    async def test(feed, followers):
        with followers.follow(KEY) as follower:
            with pytest.raises(redis.ConnectionError):
                await follower.once("a", fail)
            assert await follower.once("a", give) == "answer"

    run(test)


def test_a_stream_of_an_edit_that_is_erased_ends():
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    store = AsyncInMemoryJobStore(InMemoryJobStore())

    async def test(feed, followers):
        with followers.follow(KEY) as follower:
            assert [group async for group in events(job, store, follower, quiet=60)] == []

    run(test)


def test_a_quiet_stream_gives_a_sign_of_life():
    store = InMemoryJobStore()
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    store.create(job)

    async def test(feed, followers):
        feed.add("queued")
        with followers.follow(KEY) as follower:
            groups = events(job, AsyncInMemoryJobStore(store), follower, quiet=0.05)
            assert [len(await anext(groups)) for _ in range(3)] == [1, 0, 0]

    run(test)


def test_an_end_is_read_once_for_all_who_wait_for_it():
    kept = InMemoryJobStore()
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    kept.create(job)
    reads = []

    class Counting(AsyncInMemoryJobStore):
        async def look(self, job_id):
            reads.append(job_id)
            await asyncio.sleep(0)
            return await super().look(job_id)

    async def test(feed, followers):
        store = Counting(kept)
        feed.add("queued")
        with followers.follow(KEY, only_end=True) as first, followers.follow(KEY, only_end=True) as second:
            waits = [asyncio.create_task(ended(plain_of(job), store, each, 10)) for each in (first, second)]
            while KEY not in feed.joined:
                await asyncio.sleep(0.01)
            kept.make(moves.finish(kept.make(moves.begin(job, "execution", timedelta(minutes=1))), ()))
            feed.add("succeeded")
            assert [(await each)["status"] for each in waits] == ["succeeded", "succeeded"]
        assert reads == [job.id]

    run(test)


def test_an_event_is_encoded_once_and_its_url_anew_before_it_is_over():
    event, asked = StreamEvent("5-0", "preview 2/8 jobs/a/b/previews/0002.jpg"), []

    def url(key: str) -> str:
        asked.append(key)
        return f"https://files.example.com/{key}?{len(asked)}"

    first = encoded(event, url, timedelta(hours=1))

    assert encoded(event, url, timedelta(hours=1)) is first
    assert first.startswith(b"event: preview\n")
    assert first.endswith(b"id: 5-0\n\n")
    event.wire_until = 0
    assert b"0002.jpg?2" in encoded(event, url, timedelta(hours=1))


@pytest.mark.parametrize("last", ["0-0", "99999999999999999999-99999999999999999999", "18446744073709551615-1"])
def test_any_id_that_looks_like_one_is_taken(last):
    async def test(feed, followers):
        feed.add("succeeded")
        with followers.follow(KEY, after=last) as follower:
            await follower.wait(10)
            await follower.take()
            assert follower.is_done

    run(test)


def test_a_client_that_stops_reading_loses_its_place_in_the_end(monkeypatch, parts):
    monkeypatch.setattr(event_stream, "LONGEST_STREAM", 0.1)
    monkeypatch.setattr(event_stream, "LAST", 0.1)
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    sent = []

    async def send(message):
        sent.append(message["type"])
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def receive():
        await asyncio.Event().wait()

    async def test(feed, followers):
        feed.add("queued", key=keys.events(job.id))
        stream = event_stream.EventStream(job, replace(parts.plane, followers=followers), after="0-0")
        await stream({"type": "http"}, receive, send)
        assert followers.count() == 0

    run(test)
    assert sent == ["http.response.start", "http.response.body"]


def test_a_body_that_is_too_large_does_not_end_a_wait(client, parts, edit):
    edit_id = client.post("/v1/edits", json=edit).json()["id"]

    response = client.request("GET", f"/v1/edits/{edit_id}", params={"wait": 1}, content=b"x" * 1_000_000)

    assert response.status_code == 200
