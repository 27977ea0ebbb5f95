"""Streams that are followed: when a wait and a stream end, and what all who follow one share."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import redis

from jobs import moves
from jobs.follow.followed import StreamEvent
from jobs.model import new_job
from jobs.redis import keys
from jobs.redis.record import plain_of
from jobs.testing import AsyncInMemoryJobStore, InMemoryJobStore
from service.edits import event_stream
from service.edits.event_stream import encoded
from service.edits.following import ended, events
from tests.edits import CAT_TO_DOG
from tests.heard_feed import KEY, run, taken


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
