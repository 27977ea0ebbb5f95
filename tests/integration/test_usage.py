"""What keys used, in total: added in the turn that writes a job's end, on a real Redis."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from jobs import moves
from jobs.errors import IllegalTransition
from jobs.model import JobError, new_job
from jobs.redis import keys
from jobs.redis.store import RedisJobStore
from jobs.redis.usage import UsageTotals
from jobs.usage import JobUsage, last_days, number_of
from tests.edits import CAT_TO_DOG

USED = JobUsage(gpu_seconds=1.25, steps=10, rows=4, megapixels=0.25, bytes_stored=100)


@pytest.fixture
def client(redis_client):
    redis_client.flushdb()
    return redis_client


@pytest.fixture
def store(client) -> RedisJobStore:
    return RedisJobStore(client)


def running(store, owner: str = "shop"):
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1), owner=owner)
    store.create(job)
    return store.make(moves.begin(job, f"execution of {job.id}", timedelta(minutes=1)))


def totals(client, days: int = 2):
    # Two days, for a test that runs over midnight.
    found = UsageTotals(client).of(last_days(days))
    return {each.key: (each.edits, each.gpu_seconds, each.steps, each.work, each.bytes_stored) for each in found}


def test_each_end_is_added_to_its_keys_day(client, store):
    store.make(moves.charged(moves.finish(running(store), ()), USED))
    store.make(moves.charged(moves.fail(running(store), JobError(code="x", message="y")), USED))
    store.make(moves.charged(moves.stop(running(store, "other")), USED))

    assert totals(client) == {"shop": (2, 2.5, 20, 20.0, 200), "other": (1, 1.25, 10, 10.0, 100)}


def test_an_end_that_is_said_twice_counts_once(client, store):
    end = moves.charged(moves.finish(running(store), ()), USED)
    store.make(end)
    store.make(end)

    assert totals(client)["shop"][0] == 1


def test_what_a_job_used_before_it_was_canceled_while_it_waited_again_counts(client, store):
    waiting = store.make(moves.charged(moves.hand_back(running(store)), USED))
    assert totals(client) == {}

    store.make(moves.cancel(waiting))

    assert totals(client) == {"shop": (1, 1.25, 10, 10.0, 100)}


def test_a_worker_that_lost_its_job_adds_nothing(client, store):
    lost = running(store)
    store.make(moves.hand_back(lost))
    with pytest.raises(IllegalTransition):
        store.make(moves.charged(moves.finish(lost, ()), USED))

    assert totals(client) == {}


def test_a_job_that_was_never_begun_adds_nothing(client, store):
    job = new_job(CAT_TO_DOG, lifetime=timedelta(hours=1))
    store.create(job)
    store.make(moves.cancel(job))

    assert totals(client) == {}


def test_totals_go_after_as_many_days_as_are_set(client):
    store = RedisJobStore(client, usage_days=3)
    store.make(moves.charged(moves.finish(running(store), ()), USED))

    (day,) = [each for each in last_days(2) if client.exists(keys.usage(number_of(each)))]
    assert timedelta(days=2) < timedelta(seconds=client.ttl(keys.usage(number_of(day)))) <= timedelta(days=3)


def admin(redis_url: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "admin", "usage", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={"REDIS_URL": redis_url}, check=False)


def test_the_operator_sees_them(client, store, redis_url):
    for owner in ("shop", "other"):
        store.make(moves.charged(moves.finish(running(store, owner), ()), USED))

    shown = admin(redis_url)
    (line,) = admin(redis_url, "--key", "shop", "--json", "--days", "2").stdout.splitlines()

    assert shown.stdout.splitlines()[0].split() == [
        "day", "key", "name", "edits", "gpu", "seconds", "steps", "work", "bytes", "stored",
    ]  # fmt: skip
    assert {row.split()[1] for row in shown.stdout.splitlines()[1:]} == {"shop", "other"}
    assert json.loads(line) | {"day": ""} == {
        "day": "", "key": "shop", "edits": 1, "gpu_seconds": 1.25, "steps": 10, "work": 10.0, "bytes_stored": 100,
        "pictures": 0,
    }  # fmt: skip


@pytest.mark.parametrize("days", ["0", "-1", "x", "1.5", "100000"])
def test_a_number_of_days_that_cannot_be_is_refused(redis_url, days):
    answer = admin(redis_url, "--days", days)

    assert answer.returncode == 2
    assert "is no number of days" in answer.stderr or "expected one argument" in answer.stderr
