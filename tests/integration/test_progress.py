"""How far an edit is: written with its lease's renewals, and as steps end where a client reads them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count

import pytest

from jobs.follow.feed import FOLLOWED, RedisFeed
from jobs.follow.followers import Followers
from jobs.model import Job, JobProgress, new_job
from jobs.redis import keys
from jobs.redis.store import RedisJobStore
from jobs.testing import InMemoryKeptSources, MemoryStorage
from service.connections import redis_client as api_client
from tests.edits import CAT_TO_DOG
from worker.events import Finished, Progress, Started
from worker.publishing import Publisher

LEASE = timedelta(seconds=10)


@pytest.fixture
def store(redis_client) -> RedisJobStore:
    return RedisJobStore(redis_client)


@pytest.fixture
def publisher(store) -> Publisher:
    """Of a job that has begun, and looks at each step."""
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    store.create(job)
    made = Publisher(job, store, MemoryStorage(), InMemoryKeptSources(), clock=count().__next__)
    made.handle(Started())
    return made


def told(redis_client, job: Job) -> list[str]:
    return [fields["e"] for _, fields in redis_client.xrange(keys.events(job.id))]


def following(redis_url: str, test: Callable[[Followers], Awaitable[None]]) -> None:
    """A test beside the followers of an API process."""

    async def whole() -> None:
        async with AsyncExitStack() as stack:
            made = [api_client(redis_url, decode_responses=True, most=1) for _ in range(2)]
            for client in made:
                stack.push_async_callback(client.aclose)
            async with Followers(RedisFeed(*made)) as followers, asyncio.timeout(30):
                await test(followers)

    asyncio.run(whole())


async def read(follower, number: int) -> list[str]:
    """The next events of a follower."""
    found: list[str] = []
    while len(found) < number:
        await follower.wait(10)
        found += [f"{event.name} {event.detail}".strip() for event in await follower.take()]
    return found


def test_steps_that_nobody_reads_are_not_written(publisher, store, redis_client):
    for step in (1, 2, 3):
        publisher.handle(Progress(step=step, steps=3))
    publisher.handle(Finished())

    assert told(redis_client, publisher.job) == ["queued", "started", "succeeded"]
    assert store.get(publisher.job.id).progress == JobProgress(step=3, steps=3)


def test_a_client_that_comes_in_the_middle_reads_each_step_from_the_next_one_on(publisher, redis_url):
    async def test(followers):
        publisher.handle(Progress(step=1, steps=5))
        with followers.follow(keys.events(publisher.job.id)) as follower:
            assert await read(follower, 2) == ["queued", "started"]
            for step in (2, 3):
                publisher.handle(Progress(step=step, steps=5))
            assert await read(follower, 2) == ["progress 2/5", "progress 3/5"]

    following(redis_url, test)


def test_a_client_that_comes_back_reads_what_came_since(publisher, redis_url, redis_client):
    key = keys.events(publisher.job.id)
    redis_client.set(keys.followed(key), 1)
    for step in (1, 2, 3):
        publisher.handle(Progress(step=step, steps=5))
    second = redis_client.xrange(key)[3][0]

    async def test(followers):
        with followers.follow(key, after=second) as follower:
            assert await read(follower, 1) == ["progress 3/5"]

    following(redis_url, test)


def test_a_client_that_waits_for_the_end_alone_has_no_step_written(publisher, redis_url, redis_client):
    async def test(followers):
        with followers.follow(keys.events(publisher.job.id), only_end=True) as follower:
            while not follower.stream.is_read:
                await asyncio.sleep(0.01)
            publisher.handle(Progress(step=1, steps=2))

    following(redis_url, test)
    assert told(redis_client, publisher.job) == ["queued", "started"]


def test_nobody_follows_for_long_after_the_last_client_has_left(publisher, redis_url, redis_client):
    async def test(followers):
        with followers.follow(keys.events(publisher.job.id)) as follower:
            await read(follower, 2)

    following(redis_url, test)
    assert 0 < redis_client.ttl(keys.followed(keys.events(publisher.job.id))) <= FOLLOWED


def test_a_renewal_writes_how_far_the_job_is_and_what_it_used(publisher, store, redis_client):
    before = store.get(publisher.job.id).revision
    publisher.handle(Progress(step=7, steps=20))

    for _ in range(3):
        assert store.renew_all([publisher.job], LEASE, [publisher.report()]) == [True]

    job = store.get(publisher.job.id)
    assert job.progress == JobProgress(step=7, steps=20)
    # Answers that were given before are no longer right: once.
    assert job.revision == before + 1
    assert told(redis_client, publisher.job) == ["queued", "started", "progress 7/20"]


def test_a_report_that_comes_late_takes_nothing_back(publisher, store, redis_client):
    publisher.handle(Progress(step=1, steps=3))
    late = publisher.report()
    redis_client.set(keys.followed(keys.events(publisher.job.id)), 1)
    publisher.handle(Progress(step=2, steps=3))

    store.renew_all([publisher.job], LEASE, [late])

    assert store.get(publisher.job.id).progress == JobProgress(step=2, steps=3)
    assert told(redis_client, publisher.job)[2:] == ["progress 2/3"]


def test_a_run_that_begins_anew_with_more_steps_is_reported_from_its_first_one(publisher, store):
    for reached in (Progress(step=5, steps=20), Progress(step=1, steps=40)):
        publisher.handle(reached)
        store.renew_all([publisher.job], LEASE, [publisher.report()])

    assert store.get(publisher.job.id).progress == JobProgress(step=1, steps=40)


def test_a_report_of_a_lost_job_is_left_out_and_the_other_leases_are_renewed(publisher, store, redis_client):
    other = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    store.create(other)
    lost = Publisher(other, store, MemoryStorage(), InMemoryKeptSources(), clock=count().__next__)
    lost.handle(Started())
    for each in (publisher, lost):
        each.handle(Progress(step=1, steps=2))
    reports = [each.report() for each in (lost, publisher)]
    redis_client.delete(keys.record(other.id))

    assert store.renew_all([lost.job, publisher.job], LEASE, reports) == [False, True]
    assert store.get(publisher.job.id).progress == JobProgress(step=1, steps=2)
