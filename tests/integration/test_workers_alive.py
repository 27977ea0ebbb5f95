"""Which workers count as alive: those that gave a sign of life a moment ago."""

from datetime import timedelta
from uuid import uuid4

import pytest
import redis
from rq.utils import now

from jobs.redis.message import MESSAGE_TIMEOUT
from jobs.redis.queue import WORKER_COUNTS, WORKER_KEPT, RqJobQueue
from worker.drain import Drain
from worker.gpu_worker import GpuWorker
from worker.taking import OneModel


@pytest.fixture
def worker(redis_url):
    """A worker of a model of its own, that has come up and is idle."""
    with redis.Redis.from_url(redis_url) as client:
        worker = GpuWorker(OneModel(f"model-{uuid4().hex}"), client, Drain(timedelta(0)))
        worker.register_birth()
        worker.heartbeat()
        yield worker
        worker.register_death()


def counted(worker: GpuWorker) -> int:
    return RqJobQueue(worker.connection).num_workers(worker.models[0])


def silent_for(worker: GpuWorker, seconds: int) -> None:
    """As a worker and Redis are whose last sign of life came so long ago."""
    worker.last_heartbeat = now() - timedelta(seconds=seconds)
    worker.connection.expire(worker.key, WORKER_KEPT - seconds)


def test_a_worker_counts_until_it_has_been_silent_for_long(worker):
    assert counted(worker) == 1
    silent_for(worker, WORKER_COUNTS // 2)
    assert counted(worker) == 1
    silent_for(worker, WORKER_COUNTS + 1)
    assert counted(worker) == 0


def test_a_worker_that_was_held_up_counts_again_at_its_next_sign(worker):
    silent_for(worker, WORKER_COUNTS + 1)

    worker.give_sign()

    assert counted(worker) == 1


def test_a_worker_that_is_killed_as_it_begins_a_job_counts_no_longer_than_any_other(worker):
    with worker.connection.pipeline() as commands:
        worker.heartbeat(MESSAGE_TIMEOUT + 60, commands)  # what RQ does there
        commands.execute()

    assert worker.connection.ttl(worker.key) <= WORKER_KEPT


def test_a_model_that_nobody_serves_has_no_worker(worker):
    assert RqJobQueue(worker.connection).num_workers("nobody-s") == 0
