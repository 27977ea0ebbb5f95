"""What is heard of streams of events on a real Redis."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
import redis.asyncio

from jobs import moves
from jobs.follow.feed import News, RedisFeed
from jobs.model import Job, JobProgress, new_job
from jobs.redis import keys
from jobs.redis.store import RedisJobStore
from service.connections import redis_client as api_client
from tests.edits import CAT_TO_DOG


@pytest.fixture
def store(redis_client) -> RedisJobStore:
    return RedisJobStore(redis_client)


@pytest.fixture
def job(store) -> Job:
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    store.create(job)
    return job


def over(redis_url, what):
    """What a coroutine gives that is given a feed."""

    async def whole():
        async with AsyncExitStack() as clients:
            made = [api_client(redis_url, decode_responses=True, most=1) for _ in range(2)]
            for client in made:
                clients.push_async_callback(client.aclose)
            async with asyncio.timeout(30):
                return await what(RedisFeed(*made))

    return asyncio.run(whole())


def test_an_event_is_heard_with_the_id_of_the_one_before_it(store, job, redis_client, redis_url):
    key = keys.events(job.id)

    async def hear(feed):
        async with feed.subscription() as subscription:
            await subscription.change([key], ())
            news = subscription.news()
            assert await anext(news) == News(key)
            running = store.make(moves.begin(job, "execution", timedelta(hours=1)))
            store.make(moves.report(running, JobProgress(step=1, steps=2)))
            return [await anext(news) for _ in range(2)]

    started, progress = over(redis_url, hear)

    ids = [event_id for event_id, _ in redis_client.xrange(key)]
    assert started == News(key, ids[0], ids[1], "started")
    assert progress == News(key, ids[1], ids[2], "progress 1/2")


def test_a_stream_that_is_followed_no_longer_is_not_heard(store, job, redis_url):
    other = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    store.create(other)

    async def hear(feed):
        async with feed.subscription() as subscription:
            news = subscription.news()
            await subscription.change([keys.events(job.id), keys.events(other.id)], ())
            assert {(await anext(news)).key for _ in range(2)} == {keys.events(job.id), keys.events(other.id)}
            await subscription.change((), [keys.events(job.id)])
            store.make(moves.cancel(job))
            store.make(moves.cancel(other))
            return await anext(news)

    # The order of commands of two connections is not known: what is heard of the first, if anything, comes first.
    heard = over(redis_url, hear)
    assert heard.text == "canceled"


def test_streams_are_read_after_an_id_and_what_is_not_there_is_said(store, job, redis_client, redis_url):
    key, gone = keys.events(job.id), keys.events("nobody")
    store.make(moves.cancel(job))
    (first, _), (second, _) = redis_client.xrange(key)

    assert over(redis_url, lambda feed: feed.read({key: "0-0", gone: "0-0"})) == {
        key: [(first, "queued"), (second, "canceled")],
        gone: None,
    }
    assert over(redis_url, lambda feed: feed.read({key: first})) == {key: [(second, "canceled")]}
    assert over(redis_url, lambda feed: feed.read({key: second})) == {key: []}


def test_what_others_publish_on_a_streams_channel_has_it_read(job, redis_client, redis_url):
    key = keys.events(job.id)

    async def hear(feed):
        async with feed.subscription() as subscription:
            await subscription.change([key], ())
            news = subscription.news()
            await anext(news)
            redis_client.publish(key, "nonsense")
            return await anext(news)

    assert over(redis_url, hear) == News(key)


def test_a_connection_that_is_cut_is_never_silent(job, redis_client, redis_url):
    """Either it is an error, or redis-py connects again and the subscription is confirmed anew: the stream is read."""

    async def hear(feed):
        async with feed.subscription() as subscription:
            await subscription.change([keys.events(job.id)], ())
            news = subscription.news()
            await anext(news)
            redis_client.client_kill_filter(_type="pubsub")
            try:
                return await anext(news)
            except redis.ConnectionError:
                return None

    assert over(redis_url, hear) in (None, News(keys.events(job.id)))


def test_more_requests_at_once_than_connections_wait_for_one(redis_url):
    async def ask() -> int:
        client = api_client(redis_url, decode_responses=True, most=2)
        try:
            await asyncio.gather(*(client.ping() for _ in range(200)))
            return len([each for each in await client.client_list() if each["name"] == "" and each["cmd"] == "ping"])
        finally:
            await client.aclose()

    assert asyncio.run(ask()) <= 2
