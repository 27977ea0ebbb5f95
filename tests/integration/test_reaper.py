"""What is lost on the way is found and put right."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
import redis
import redis.asyncio

from admin.__main__ import dead_letters, requeue
from jobs import moves
from jobs.errors import ArtifactNotFound, JobNotFound
from jobs.model import JobStatus, artifact_key, new_job
from jobs.redis import keys
from jobs.redis.message import job_of, list_of, queue_name
from jobs.redis.queue import RqJobQueue
from jobs.redis.store import AsyncRedisJobStore, RedisJobStore
from jobs.redis.upkeep import Upkeep
from jobs.testing import MemoryStorage
from process.metrics import REAPER, REGISTRIES
from reaper.__main__ import Reaper
from tests.edits import CAT_TO_DOG

OVER = timedelta(0)


@pytest.fixture
def plane(redis_client, redis_url):
    """A plane over a Redis that is empty, and a reaper of it."""
    redis_client.flushdb()
    store, storage = RedisJobStore(redis_client), MemoryStorage()
    queue = RqJobQueue(redis.Redis.from_url(redis_url))
    reaper = Reaper(Upkeep(redis_client), store, queue, storage, max_attempts=2)
    return SimpleNamespace(store=store, storage=storage, queue=queue, reaper=reaper, client=redis_client)


def accepted(plane, **times: timedelta):
    job = new_job(CAT_TO_DOG, **{"lifetime": timedelta(hours=1), **times})
    plane.store.create(job)
    return job


def held(plane, model: str) -> frozenset[str]:
    """Jobs whose messages no worker has taken."""
    return frozenset(map(job_of, plane.client.lrange(list_of(model), 0, -1)))


def taken(plane, job) -> None:
    """RQ's message is taken, as a worker does that is then killed."""
    key = f"rq:queue:{queue_name(job.model)}"
    assert plane.client.lmove(key, f"{key}:intermediate", "RIGHT", "LEFT")


def test_a_job_whose_worker_is_lost_is_queued_again_and_its_litter_removed(plane):
    job = accepted(plane)
    taken(plane, job)
    plane.store.make(moves.begin(job, "first", OVER))
    plane.storage.put(artifact_key(job.id, "first", "source.png"), b"half a job", "image/png")

    plane.reaper.sweep()

    assert plane.store.get(job.id).status is JobStatus.QUEUED
    assert held(plane, job.model) == {job.id}
    with pytest.raises(ArtifactNotFound):
        plane.storage.read(artifact_key(job.id, "first", "source.png"))


def test_a_job_that_kills_its_workers_fails_and_joins_the_dead_letters(plane):
    job = accepted(plane)
    for execution in ("first", "second"):
        plane.store.make(moves.begin(plane.store.get(job.id), execution, OVER))
        plane.reaper.sweep()

    assert plane.store.get(job.id).error.code == "worker_lost"
    assert Upkeep(plane.client).dead() == [job.id]


def test_a_dead_letter_can_be_sent_again_as_a_job_of_its_own(plane):
    job = accepted(plane)
    for execution in ("first", "second"):
        plane.store.make(moves.begin(plane.store.get(job.id), execution, OVER))
        plane.reaper.sweep()
    upkeep = Upkeep(plane.client)
    assert [dead.id for dead in dead_letters(upkeep, plane.store)] == [job.id]

    again = requeue(job.id, upkeep, plane.store)

    assert (again.status, again.attempt, again.spec) == (JobStatus.QUEUED, 0, job.spec)
    assert again.id in held(plane, job.model)
    assert plane.store.get(job.id).status is JobStatus.FAILED
    assert dead_letters(upkeep, plane.store) == []
    with pytest.raises(JobNotFound):
        requeue(job.id, upkeep, plane.store)


def test_a_job_that_a_worker_gets_on_with_is_left_to_it(plane):
    job = accepted(plane)
    running = plane.store.make(moves.begin(job, "first", timedelta(seconds=10)))

    plane.reaper.sweep()

    assert plane.store.get(job.id) == running


def test_a_message_that_was_lost_is_sent_again_by_the_second_sweep(plane):
    job = accepted(plane)
    taken(plane, job)

    plane.reaper.sweep()
    assert held(plane, job.model) == frozenset()
    plane.reaper.sweep()
    plane.reaper.sweep()

    assert held(plane, job.model) == {job.id}
    assert plane.client.llen(f"rq:queue:{queue_name(job.model)}") == 1


def test_a_reaper_that_was_killed_between_record_and_message_is_made_up_for(plane):
    job = accepted(plane)
    taken(plane, job)
    plane.store.make(moves.take_back(plane.store.make(moves.begin(job, "first", OVER)), max_attempts=2))

    plane.reaper.sweep()
    plane.reaper.sweep()

    assert held(plane, job.model) == {job.id}


def test_a_job_that_nobody_began_in_time_expires_without_a_worker(plane):
    job = accepted(plane, queue_limit=OVER)

    plane.reaper.sweep()

    assert plane.store.get(job.id).status is JobStatus.EXPIRED
    assert held(plane, job.model) == frozenset()


def test_a_record_that_is_gone_leaves_the_indexes(plane):
    job = accepted(plane, queue_limit=OVER)
    plane.client.delete(keys.record(job.id))

    plane.reaper.sweep()

    assert not plane.client.exists(keys.waiting(job.model))


def test_the_artifacts_of_a_finished_job_go_with_its_record(plane):
    job = accepted(plane)
    key = artifact_key(job.id, "first", "source.png")
    plane.storage.put(key, b"a picture", "image/png")
    plane.store.make(moves.finish(plane.store.make(moves.begin(job, "first", OVER)), ()))
    plane.reaper.sweep()
    assert plane.storage.read(key)
    # Its lifetime passes: what was to be removed at its end is to be removed by now.
    plane.client.zadd(keys.LITTER, dict.fromkeys(plane.client.zrange(keys.LITTER, 0, -1), 0))

    plane.reaper.sweep()

    with pytest.raises(ArtifactNotFound):
        plane.storage.read(key)


def test_what_the_api_could_not_remove_of_an_erased_job_is_removed(plane, redis_url):
    job = accepted(plane)
    running = plane.store.make(moves.begin(job, "first", OVER))
    plane.storage.put(artifact_key(job.id, "first", "source.png"), b"a picture", "image/png")
    plane.store.make(moves.finish(running, ()))

    async def erase() -> None:
        async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
            await AsyncRedisJobStore(client).erase(job)

    asyncio.run(erase())
    plane.reaper.sweep()

    assert not plane.client.exists(keys.record(job.id), keys.events(job.id))
    with pytest.raises(ArtifactNotFound):
        plane.storage.read(artifact_key(job.id, "first", "source.png"))


def test_nothing_the_plane_keeps_stays_for_ever(plane):
    job = accepted(plane)
    plane.store.make(moves.begin(job, "first", OVER))
    plane.reaper.sweep()
    done = plane.store.make(moves.begin(plane.store.get(job.id), "second", OVER))
    plane.store.make(moves.finish(done, ()))

    lasting = [key for key in plane.client.scan_iter() if plane.client.ttl(key) == -1 and not key.startswith("rq:")]

    assert lasting == []


def test_what_the_reaper_puts_right_is_counted(plane):
    def counted(name: str, **labels: str) -> float:
        return REGISTRIES[REAPER].get_sample_value(name, {"model": "scenes", **labels}) or 0.0

    names = {"p2p_workers_lost_total": {}, "p2p_messages_sent_again_total": {}}
    names["p2p_jobs_ended_total"] = {"status": "expired", "code": ""}
    before = {name: counted(name, **labels) for name, labels in names.items()}
    lost, unheard, _ = accepted(plane), accepted(plane), accepted(plane, queue_limit=OVER)
    plane.store.make(moves.begin(lost, "first", OVER))
    plane.reaper.sweep()
    plane.client.delete(f"rq:queue:{queue_name(unheard.model)}")
    plane.reaper.sweep()
    plane.reaper.sweep()

    grown = {name: counted(name, **labels) - before[name] for name, labels in names.items()}
    # Of both jobs that wait by then.
    assert grown == {"p2p_workers_lost_total": 1, "p2p_messages_sent_again_total": 2, "p2p_jobs_ended_total": 1}


def test_a_message_that_two_reapers_miss_at_once_is_sent_by_one(plane):
    """The second one looked at the queue before the first one sent anything."""
    job = accepted(plane)
    second = Reaper(Upkeep(plane.client), plane.store, plane.queue, plane.storage, max_attempts=2)
    taken(plane, job)
    for reaper in (plane.reaper, second):
        reaper.sweep()
    plane.reaper.sweep()
    message = plane.store.get(job.id).message

    second.sweep()

    assert not plane.queue.deliver(job.id, job.model, lost=True)
    assert plane.store.get(job.id).message == message
    assert plane.client.lrange(list_of(job.model), 0, -1) == [message]
