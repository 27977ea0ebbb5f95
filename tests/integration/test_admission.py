"""What is accepted, in which order it is worked off, and what is refused: on a real Redis, in one turn each."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import redis.asyncio
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from jobs import moves
from jobs.admission import Admission, Limits
from jobs.errors import NameReused, QueueFull, RateLimited, TooManyActive, TooManyWaiting
from jobs.model import HEAD_START, Job, new_job
from jobs.redis import keys
from jobs.redis.message import job_of, list_of, queue_name
from jobs.redis.store import AsyncRedisJobStore, RedisJobStore
from tests.edits import CAT_TO_DOG

MODEL = CAT_TO_DOG.model


@pytest.fixture
def client(redis_client):
    """An empty Redis."""
    redis_client.flushdb()
    return redis_client


@pytest.fixture
def admit(client, redis_url):
    """Admits jobs as the API does."""

    def admitted(*jobs: Job, limits: Limits | None = None, name: str | None = None, fingerprint: str = "same"):
        async def asked():
            async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as connected:
                admission = Admission(jobs=jobs, limits=limits or Limits(), name=name, fingerprint=fingerprint)
                return await AsyncRedisJobStore(connected).admit(admission)

        return asyncio.run(asked())

    return admitted


def job(owner: str = "somebody", *, seconds_ago: float = 0, **about: object) -> Job:
    made = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1), owner=owner, **about)
    return made.model_copy(update={"created_at": datetime.now(UTC) - timedelta(seconds=seconds_ago)})


def in_line(client) -> list[str]:
    """The jobs whose messages wait, the next one first."""
    return [job_of(message) for message in client.lrange(list_of(MODEL), 0, -1)]


def test_jobs_are_in_line_as_they_came(client, admit):
    jobs = [job() for _ in range(5)]
    for each in jobs:
        admit(each)

    assert in_line(client) == [each.id for each in jobs]


def test_priority_is_a_head_start(client, admit):
    low, normal, high = (job(priority=priority) for priority in ("low", "normal", "high"))
    for each in (low, normal, high):
        admit(each)

    assert in_line(client) == [high.id, normal.id, low.id]


@pytest.mark.parametrize(("waits", "comes"), [("low", "normal"), ("normal", "high"), ("low", "high")])
def test_what_has_waited_long_enough_is_not_overtaken(client, admit, waits, comes):
    old = job(priority=waits, seconds_ago=HEAD_START[comes] - HEAD_START[waits] + 1)
    new = job(priority=comes)
    admit(old)
    admit(new)

    assert in_line(client) == [old.id, new.id]


def test_a_job_that_waits_again_waits_where_it_was(client, admit):
    first, second, third = jobs = [job() for _ in range(3)]
    for each in jobs:
        admit(each)
    store = RedisJobStore(client)
    client.lpop(list_of(MODEL))
    store.make(moves.hand_back(store.make(moves.begin(first, "execution", timedelta(seconds=10)))))

    assert in_line(client) == [first.id, second.id, third.id]
    assert client.zcard(keys.order(MODEL)) == 3


@pytest.mark.parametrize("end", [moves.cancel, moves.expire])
def test_the_message_of_a_job_that_waits_no_more_is_gone(client, admit, end):
    made = job()
    admit(made)
    RedisJobStore(client).make(end(made))

    assert in_line(client) == []
    assert not client.zcard(keys.order(MODEL))
    assert not list(client.scan_iter("rq:job:*"))


def test_rq_reads_the_message(client, admit, redis_url):
    made = job()
    admit(made)
    queue = Queue(queue_name(MODEL), connection=redis.Redis.from_url(redis_url), serializer=JSONSerializer)

    message, _ = SimpleWorker(
        [queue], connection=queue.connection, serializer=JSONSerializer
    ).dequeue_job_and_maintain_ttl(None)

    assert (message.func_name, message.args) == ("worker.tasks.run_edit", [made.id])
    assert (message.timeout, message.result_ttl, message.get_status()) == (3600, 0, "queued")


def test_jobs_that_are_posted_together_are_accepted_together(client, admit):
    jobs = [job() for _ in range(3)]

    assert admit(*jobs).job_ids == [each.id for each in jobs]
    assert in_line(client) == [each.id for each in jobs]


def test_the_same_request_under_the_same_name_is_the_same_job(client, admit):
    first = admit(job(), name="mine")

    again = admit(job(), name="mine")

    assert (again.job_ids, again.replayed) == (first.job_ids, True)
    assert in_line(client) == list(first.job_ids)


def test_another_request_under_the_same_name_is_refused(client, admit):
    admit(job(), name="mine")

    with pytest.raises(NameReused):
        admit(job(), name="mine", fingerprint="other")
    assert len(in_line(client)) == 1


@pytest.mark.parametrize("fingerprint", ["same", "other"])
def test_the_name_of_what_was_erased_is_free_again(client, admit, fingerprint):
    first = admit(job(), name="mine")
    RedisJobStore(client).make(moves.cancel(RedisJobStore(client).get(first.job_ids[0])))
    client.delete(keys.record(first.job_ids[0]))

    again = admit(job(), name="mine", fingerprint=fingerprint)

    assert not again.replayed
    assert in_line(client) == list(again.job_ids)
    assert admit(job(), name="mine", fingerprint=fingerprint).job_ids == again.job_ids


def test_another_owners_equal_name_is_another_job(client, admit):
    first = admit(job("one"), name="mine")

    assert admit(job("two"), name="mine").job_ids != first.job_ids


def test_an_owner_may_have_so_many_jobs_under_way(client, admit):
    first, limits = job(), Limits(active=2)
    admit(first, limits=limits)
    admit(job(), limits=limits)

    with pytest.raises(TooManyActive):
        admit(job(), limits=limits)
    admit(job("another"), limits=limits)
    RedisJobStore(client).make(moves.cancel(first))
    admit(job(), limits=limits)


def test_a_running_job_is_under_way_until_it_ends(client, admit):
    made, limits, store = job(), Limits(active=1), RedisJobStore(client)
    admit(made, limits=limits)
    running = store.make(moves.begin(made, "execution", timedelta(seconds=10)))
    with pytest.raises(TooManyActive):
        admit(job(), limits=limits)

    store.make(moves.finish(running, ()))

    admit(job(), limits=limits)


def test_an_owner_may_post_a_burst_and_then_so_many_a_minute(client, admit):
    limits = Limits(per_minute=1, burst=2)
    admit(job(), job(), limits=limits)

    with pytest.raises(RateLimited) as refused:
        admit(job(), limits=limits)

    # The test itself took a little of the first minute.
    assert 0 < refused.value.retry_after <= 60
    admit(job("another"), limits=limits)


def test_what_is_refused_costs_nothing(client, admit):
    limits = Limits(per_minute=6, burst=2, backlog=0)
    for _ in range(3):
        with pytest.raises(QueueFull):
            admit(job(), job(), limits=limits)

    admit(job(), job(), limits=Limits(per_minute=6, burst=2))


def test_a_model_holds_so_many_waiting_jobs(client, admit):
    limits = Limits(backlog=2)
    admit(job(), limits=limits)
    with pytest.raises(QueueFull):
        admit(job(), job(), limits=limits)
    admit(job(), limits=limits)

    with pytest.raises(QueueFull) as refused:
        admit(job(), limits=limits)

    assert refused.value.retry_after > 0


def test_a_full_queue_is_said_to_empty_as_fast_as_its_jobs_end(client, admit):
    client.hset(keys.pace(MODEL), "seconds", 30)
    client.zadd(keys.leases(MODEL), {"one": 0, "two": 0, "three": 0})

    with pytest.raises(QueueFull) as refused:
        admit(job(), limits=Limits(backlog=0))

    assert refused.value.retry_after == 10


def test_a_waiting_job_is_said_to_begin_as_soon_as_those_before_it_have_ended(client, admit, redis_url):
    """Three workers, each of which ends a job in half a minute of late; two jobs go before the third."""

    async def place_of(each: Job):
        async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as connected:
            store = AsyncRedisJobStore(connected)
            there = await store.get(each.id)
            return await store.place(there.id, there.model, there.message)

    jobs = [job() for _ in range(3)]
    for each in jobs:
        admit(each)
    assert asyncio.run(place_of(jobs[2])) == (2, None)
    client.hset(keys.pace(MODEL), "seconds", 30)
    client.zadd(keys.leases(MODEL), {"one": 0, "two": 0, "three": 0})

    assert asyncio.run(place_of(jobs[2])) == (2, 30)
    assert asyncio.run(place_of(jobs[0])) == (0, 10)


def test_nothing_stays_for_ever(client, admit):
    admit(job(), limits=Limits(per_minute=6, burst=2, active=5), name="mine")

    lasting = {key for key in client.scan_iter("*") if client.ttl(key) == -1}

    # lists and sets of RQ's, as many as there are models
    assert lasting == {"rq:queues", list_of(MODEL)}


def test_an_owner_may_have_so_many_jobs_waiting_and_those_that_run_are_not_counted(client, admit):
    first, limits, store = job(), Limits(waiting=1), RedisJobStore(client)
    admit(first, limits=limits)
    with pytest.raises(TooManyWaiting) as refused:
        admit(job(), limits=limits)
    running = store.make(moves.begin(first, "execution", timedelta(seconds=10)))

    admit(job(), limits=limits)

    assert "1 edits of this key wait, and 1 may" in str(refused.value)
    store.make(moves.hand_back(running))
    with pytest.raises(TooManyWaiting):
        admit(job(), limits=limits)
    with pytest.raises(TooManyActive) as refused:
        admit(job(), limits=Limits(active=2))
    assert "2 edits of this key wait and 0 run" in str(refused.value)
