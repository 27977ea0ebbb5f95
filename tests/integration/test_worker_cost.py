"""What a worker asks of Redis beside its jobs' records: few commands over one connection, and honest signs of life."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis

from jobs import moves
from jobs.model import new_job
from jobs.redis.message import list_of, message_about
from jobs.redis.notes import Notes
from jobs.redis.queue import RqJobQueue
from jobs.redis.store import RedisJobStore
from stack.redis_server import redis_server
from tests.edits import CAT_TO_DOG
from worker.drain import Drain
from worker.gpu_worker import WORKER_TTL, GpuWorker
from worker.taking import OneModel

MODEL = "tiny"


@pytest.fixture
def client(tmp_path):
    with redis_server(tmp_path) as url, redis.Redis.from_url(url) as connection:
        yield connection


def worked_off(client: redis.Redis, monkeypatch: pytest.MonkeyPatch, task: Callable[[str], None], number: int) -> None:
    """A worker does something for each of so many messages, and ends."""
    monkeypatch.setattr("worker.tasks.run_edit", task)
    for index in range(number):
        message = message_about(f"job{index}", MODEL)
        client.hset(message.hash, mapping=dict(zip(message.fields[::2], message.fields[1::2], strict=True)))
        client.rpush(message.list, message.id)
    assert GpuWorker(OneModel(MODEL), client, Drain(timedelta(seconds=1))).work(burst=True)


def test_messages_that_were_worked_off_leave_nothing_behind(client, monkeypatch):
    worked_off(client, monkeypatch, lambda job_id: None, 3)

    assert client.llen(list_of(MODEL)) == 0
    left = {key.decode() for key in client.scan_iter()}
    assert not {key for key in left if "job0" in key or "wip" in key or "executions" in key or "intermediate" in key}
    (worker,) = (key for key in left if key.startswith("rq:worker:"))
    assert client.hget(worker, "successful_job_count") == b"3"


def test_messages_are_worked_off_over_one_connection(client, monkeypatch):
    worked_off(client, monkeypatch, lambda job_id: None, 3)

    assert len(client.client_list()) == 1


def test_a_worker_killed_within_a_job_counts_as_alive_no_longer_than_an_idle_one(client, monkeypatch):
    lives: list[int] = []

    def look(job_id: str) -> None:
        (worker,) = client.smembers("rq:workers")
        lives.append(client.ttl(worker))

    worked_off(client, monkeypatch, look, 2)

    assert len(lives) == 2
    assert max(lives) <= WORKER_TTL + 60


def test_what_a_message_costs_redis_is_bounded(client, monkeypatch):
    """In a burst, which looks for a suspension each time."""
    calls: list[dict[str, int]] = []
    reads: list[int] = []

    def count(job_id: str) -> None:
        info = client.info("everything")
        calls.append(
            {name.removeprefix("cmdstat_"): each["calls"] for name, each in info.items() if "cmdstat_" in name}
        )
        reads.append(info["total_reads_processed"])

    worked_off(client, monkeypatch, count, 4)

    # To move the message, to read it with its job's record, to note and forget it, and to note that it was worked off.
    of_messages = {"lmove": 1, "hgetall": 2, "exists": 1, "lrem": 1, "del": 1, "hset": 2}
    of_a_look_for_a_suspension = {"multi": 1, "hset": 1, "expire": 1, "exists": 1, "exec": 1}
    more = Counter(calls[-1]) - Counter(calls[-2])
    assert more == Counter(of_messages) + Counter(of_a_look_for_a_suspension) + Counter(info=1)
    # The look, the move with all notes, the reading, and the test's own.
    assert reads[-1] - reads[-2] == 4


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Has a worker begin a job as it does; gives what the client saw within it, by what it looks for."""

    def work(look: Callable[[redis.Redis, str], Any]) -> Any:
        seen = []
        with redis_server(tmp_path) as url, redis.Redis.from_url(url) as client, decoding(url) as records:
            notes = Notes()
            store = RedisJobStore(records, notes=notes)
            store.create(job := new_job(CAT_TO_DOG, lifetime=timedelta(hours=1)))

            def begin(job_id: str) -> None:
                store.begin(moves.begin(store.get(job_id), "execution", timedelta(seconds=10)))
                seen.append(look(client, job_id))

            monkeypatch.setattr("worker.tasks.run_edit", begin)
            worker = GpuWorker(OneModel(job.model), client, Drain(timedelta(seconds=1)), notes=notes)
            assert worker.work(burst=True)
        (found,) = seen
        return found

    return work


def decoding(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def test_a_worker_says_which_job_it_works_on(begun):
    on, job_id = begun(lambda client, job_id: ([each.job_id for each in RqJobQueue(client).workers()], job_id))

    assert on == [job_id]


def test_a_message_whose_worker_is_killed_within_its_job_stays_nowhere(begun):
    keys = begun(lambda client, job_id: [key.decode() for key in client.scan_iter()])

    assert not [key for key in keys if key.startswith("rq:job:") or "intermediate" in key]


def test_a_worker_that_is_suspended_takes_no_message(client, monkeypatch):
    client.set("rq:suspended", 1)

    with pytest.raises(AssertionError):
        worked_off(client, monkeypatch, lambda job_id: None, 1)

    assert client.llen(list_of(MODEL)) == 1
