"""A batch on a real Redis: it counts down in the turns that end its jobs, and is told of once."""

import asyncio
from datetime import timedelta

import pytest
import redis.asyncio

from jobs import moves
from jobs.admission import Admission, Admitted, Limits
from jobs.batches import BatchStanding, RedisBatches, gathered
from jobs.errors import BatchNotFound, IllegalTransition, QueueFull, RateLimited, TooManyActive
from jobs.follow.feed import RedisFeed
from jobs.follow.followers import Followers
from jobs.model import JobStatus, new_job
from jobs.redis import keys
from jobs.redis.store import AsyncRedisJobStore, RedisJobStore
from tests.edits import CAT_TO_DOG
from tests.patience import PATIENCE

HOUR = timedelta(hours=1)


class Plane:
    """A store, and what the API asks it of batches."""

    def __init__(self, client, url: str) -> None:
        self.client, self.url, self.store = client, url, RedisJobStore(client)

    def asked(self, what):
        """What the API is told; `what` is given the store and the batches."""

        async def told():
            async with redis.asyncio.Redis.from_url(self.url, decode_responses=True) as client:
                return await what(AsyncRedisJobStore(client), RedisBatches(client))

        return asyncio.run(told())

    def admit(self, number: int, *, limits: Limits | None = None, name: str | None = None) -> Admitted:
        batch, jobs = gathered([new_job(CAT_TO_DOG, lifetime=HOUR) for _ in range(number)])
        admission = Admission(jobs=jobs, limits=limits or Limits(), name=name, fingerprint="same", batch=batch)
        return self.asked(lambda store, _: store.admit(admission))

    def standing(self, batch_id: str) -> BatchStanding:
        return self.asked(lambda _, batches: batches.get(batch_id))

    def told(self) -> list[str]:
        return [fields["batch"] for _, fields in self.client.xrange(keys.OUTBOX) if "batch" in fields]


@pytest.fixture
def plane(redis_client, redis_url) -> Plane:
    """An empty Redis."""
    redis_client.flushdb()
    return Plane(redis_client, redis_url)


def test_a_batch_ends_in_the_turn_that_ends_its_last_job(plane):
    admitted = plane.admit(3)
    first, second, third = (plane.store.get(job_id) for job_id in admitted.job_ids)

    plane.store.make(moves.cancel(first))
    plane.store.make(moves.expire(third))
    assert plane.told() == []
    assert plane.standing(admitted.batch_id).finished_at is None
    running = plane.store.make(moves.begin(second, "execution", moves.LATE))
    assert list(plane.standing(admitted.batch_id).statuses.values()) == ["canceled", "running", "expired"]
    plane.store.make(moves.finish(running, ()))

    standing = plane.standing(admitted.batch_id)
    assert plane.told() == [admitted.batch_id]
    assert list(standing.statuses) == list(admitted.job_ids)
    assert list(standing.statuses.values()) == ["canceled", "succeeded", "expired"]
    assert standing.finished_at


def test_a_job_that_is_handed_back_or_ends_twice_counts_once(plane):
    admitted = plane.admit(2)
    first, second = (plane.store.get(job_id) for job_id in admitted.job_ids)
    begun = plane.store.make(moves.begin(first, "one", moves.LATE))
    again = plane.store.make(moves.begin(plane.store.make(moves.hand_back(begun)), "two", moves.LATE))

    plane.store.make(moves.finish(again, ()))
    # Said once more, when the answer was lost on its way; and by the execution that lost it.
    plane.store.make(moves.finish(again, ()))
    with pytest.raises(IllegalTransition):
        plane.store.make(moves.finish(begun, ()))

    assert plane.told() == []
    assert plane.standing(admitted.batch_id).statuses[second.id] is JobStatus.QUEUED
    plane.store.make(moves.cancel(second))
    assert plane.told() == [admitted.batch_id]


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        (Limits(backlog=2), QueueFull),
        (Limits(active=2), TooManyActive),
        (Limits(per_minute=1, burst=2), RateLimited),
    ],
)
def test_of_a_batch_that_is_refused_nothing_is_kept(plane, limits, refusal):
    with pytest.raises(refusal):
        plane.admit(3, limits=limits)

    assert [key for key in plane.client.scan_iter("*") if key.startswith(("job:", "batch:", "rq:job:"))] == []


def test_the_same_batch_under_the_same_name_is_the_same_batch(plane):
    first, second = (plane.admit(2, name="mine") for _ in range(2))

    assert (second.batch_id, second.replayed) == (first.batch_id, True)
    assert len(list(plane.client.scan_iter("batch:*"))) == 1


def test_a_batch_outlives_the_erasure_of_its_edits(plane):
    admitted = plane.admit(2)
    first, second = (plane.store.get(job_id) for job_id in admitted.job_ids)
    plane.store.make(moves.cancel(first))
    plane.asked(lambda store, _: store.erase(first))

    plane.store.make(moves.cancel(second))
    plane.asked(lambda store, _: store.erase(second))

    assert list(plane.standing(admitted.batch_id).statuses.values()) == ["canceled", "canceled"]
    assert plane.told() == [admitted.batch_id]


def test_a_batch_is_kept_as_long_as_its_jobs_and_no_longer(plane):
    admitted = plane.admit(2)
    key = keys.batch(admitted.batch_id)
    first, second = (plane.store.get(job_id) for job_id in admitted.job_ids)
    assert plane.client.pttl(key) >= plane.client.pttl(keys.record(first.id)) - 1000 * PATIENCE

    # Late, so that its record is kept for longer than the batch was to be at first.
    plane.client.pexpire(key, 1000 * PATIENCE)
    running = plane.store.make(moves.begin(first, "execution", moves.LATE))
    assert plane.client.pttl(key) >= plane.client.pttl(keys.record(first.id)) - 1000 * PATIENCE
    plane.store.make(moves.finish(running, ()))
    plane.store.make(moves.cancel(second))

    left = plane.client.pttl(key)
    assert plane.client.pttl(keys.record(second.id)) - 1000 * PATIENCE <= left <= HOUR.total_seconds() * 1000
    assert 0 < plane.client.pttl(keys.batch_events(admitted.batch_id)) <= left
    standing = plane.standing(admitted.batch_id)
    assert HOUR - (standing.expires_at - standing.finished_at) < timedelta(seconds=PATIENCE)


def test_a_batch_that_is_gone_is_not_found_and_comes_not_back(plane):
    """Its hash is never made anew by a job that ends later: such a key would stay for ever."""
    admitted = plane.admit(1)
    plane.client.delete(keys.batch(admitted.batch_id))

    plane.store.make(moves.cancel(plane.store.get(admitted.job_ids[0])))

    assert not plane.client.exists(keys.batch(admitted.batch_id))
    with pytest.raises(BatchNotFound):
        plane.standing(admitted.batch_id)


def test_a_client_that_waits_for_a_batch_is_woken_by_its_end(plane):
    admitted = plane.admit(1)

    async def ended_meanwhile(store: AsyncRedisJobStore, batches: RedisBatches) -> None:
        async with (
            redis.asyncio.Redis.from_url(plane.url, decode_responses=True) as client,
            Followers(RedisFeed(client, client)) as followers,
        ):
            with followers.follow(keys.batch_events(admitted.batch_id), only_end=True) as follower:
                waiting = asyncio.create_task(follower.wait(60))
                await asyncio.sleep(0)
                await store.make(moves.cancel(await store.get(admitted.job_ids[0])))
                await waiting
                while follower.stream.end is None:
                    # A batch has no stream before its end, which is news each time a read finds none.
                    if not follower.lost_stream:
                        await follower.wait(60)
            # One that has ended is not waited for.
            with followers.follow(keys.batch_events(admitted.batch_id), only_end=True) as follower:
                await follower.wait(60)

    plane.asked(ended_meanwhile)

    assert plane.standing(admitted.batch_id).finished_at
