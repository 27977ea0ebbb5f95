"""A job that was accepted ends, whatever becomes of its worker, and is published once."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from jobs.model import new_job
from jobs.redis import keys
from jobs.redis.store import RedisJobStore
from jobs.versions import SCHEMA_VERSION
from p2p.spec import EditSpec
from stack.processes import python, running
from stack.services import Stack, stack
from tests.held import held
from tests.patience import LEASE, PATIENCE, eventually

MODEL = "tiny"
SPEC = {
    "model": MODEL,
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    "sampling": {"steps": 2, "guidance_scale": 3.0, "height": 32, "width": 32},
}


@pytest.fixture(scope="module")
def served(tiny_models, tmp_path_factory) -> Iterator[Stack]:
    """A service of its own, without any worker: what is killed here still counts as alive for a while."""
    settings = {"OMP_NUM_THREADS": "1", "LEASE": str(LEASE), "SWEEP_INTERVAL": "0.5"}
    with stack(tmp_path_factory.mktemp("recovery"), {}, models_file=tiny_models, settings=settings) as started:
        yield started


@pytest.fixture
def worker(served, tmp_path) -> Iterator:
    """Starts workers of their own, with a program before them and settings of their own."""
    with ExitStack() as started:
        number = iter(range(100))

        def start(program: str = "", **settings: str):
            log = tmp_path / f"worker-{next(number)}.log"
            environment = {**served.environment, **settings}
            command = python("-c", f"{program}\nfrom worker.__main__ import main; main()", "--model", MODEL)
            return started.enter_context(running("worker", command, log, environment))

        yield start


def executions(served, job_id: str) -> set[str]:
    """The executions that have left anything in the storage."""
    place = Path(served.folder) / "artifacts" / "jobs" / job_id
    return {path.name for path in place.iterdir()} if place.exists() else set()


def test_the_job_of_a_killed_worker_is_finished_by_another(served, worker, post, until, tmp_path):
    first, address = worker(held(tmp_path / "never", 8)), post(MODEL, steps=8)
    until(address, "running")
    first.kill()
    worker()

    job = until(address)

    assert (job["status"], job["attempt"]) == ("succeeded", 2)


def test_a_worker_that_is_stopped_past_its_lease_publishes_nothing_when_it_goes_on(
    served, worker, post, until, tmp_path
):
    first, address = worker(held(tmp_path / "go", 8)), post(MODEL, steps=8)
    until(address, "running")
    first.send_signal(signal.SIGSTOP)
    second = worker()
    done = until(address)
    second.terminate()
    (tmp_path / "go").touch()
    first.send_signal(signal.SIGCONT)
    first.terminate()
    assert first.wait(PATIENCE) is not None

    after = until(address)
    job_id = address.split("/")[-1]
    with redis.Redis.from_url(served.redis_url, decode_responses=True) as client:
        execution = client.hget(keys.record(job_id), "execution").strip('"')
    assert (done["status"], done["attempt"]) == ("succeeded", 2)
    assert (after["finished_at"], len(after["artifacts"])) == (done["finished_at"], len(done["artifacts"]))
    assert eventually(lambda: executions(served, job_id) == {execution})


def test_a_worker_that_must_end_sooner_gives_its_job_back_and_spends_no_attempt(worker, post, until, tmp_path):
    first, address = worker(held(tmp_path / "go", 8), GRACE="0.01"), post(MODEL, steps=8)
    until(address, "running")
    first.terminate()
    (tmp_path / "go").touch()
    assert first.wait(PATIENCE) == 0
    worker()

    job = until(address)

    assert (job["status"], job["attempt"]) == ("succeeded", 1)


def test_a_job_whose_message_was_lost_between_queue_and_worker_runs_all_the_same(served, worker, post, until):
    address = post(MODEL, steps=2)
    with redis.Redis.from_url(served.redis_url) as client:
        queue = f"rq:queue:edits:{MODEL}"
        assert client.lmove(queue, f"{queue}:intermediate", "RIGHT", "LEFT")
    worker()

    assert until(address)["status"] == "succeeded"


def test_what_killed_workers_leave_in_redis_does_not_stay(served, post, until):
    """The tests before this one killed and stopped workers in the middle of jobs."""
    with redis.Redis.from_url(served.redis_url, decode_responses=True) as client:
        lasting = {key for key in client.scan_iter("*") if client.ttl(key) == -1}

    # sets and lists of RQ's, as many as there are models
    fixed = ("rq:queues", "rq:queue:", "rq:workers", "rq:groups", "rq:failed:", "rq:wip:")
    assert {key for key in lasting if not key.startswith(fixed)} == set()


def test_a_job_of_a_newer_version_waits_for_a_newer_worker(served, worker, post, until, tmp_path):
    """A rolling deploy: the newer API is up, and so far only an older worker."""
    job = new_job(EditSpec.model_validate(SPEC), lifetime=timedelta(hours=1))
    newer = job.model_copy(update={"schema_version": SCHEMA_VERSION + 1})
    with redis.Redis.from_url(served.redis_url, decode_responses=True) as client:
        RedisJobStore(client).create(newer)
        older, known = worker(), post(MODEL, steps=2)
        assert until(known)["status"] == "succeeded"
        assert client.hget(keys.record(job.id), "status") == '"queued"'

        program = "import jobs.versions as v; v.SCHEMA_VERSION += 1; from worker.__main__ import main; main()"
        command = python("-c", program, "--model", MODEL)
        with running("newer", command, tmp_path / "newer.log", served.environment):
            assert eventually(lambda: client.hget(keys.record(job.id), "status") == '"succeeded"')
        assert client.hget(keys.record(job.id), "attempt") == "1"
        assert older.poll() is None
