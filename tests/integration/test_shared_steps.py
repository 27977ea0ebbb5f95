"""Jobs that share the steps of one worker: each is what it is alone, and ends once, whatever becomes of the others."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

import httpx
import pytest
import redis

from jobs.redis import keys
from jobs.redis.message import list_of
from stack.ports import free_port
from stack.processes import python, running
from stack.services import Stack, stack
from tests import tiny
from tests.declared import declared
from tests.held import held
from tests.patience import ANSWER, LEASE, PATIENCE, eventually
from worker.reserving import PASSED_OVER

#: The same weights, served to one job at a time and to four pairs with guidance.
ALONE, SHARED = "alone", "shared"
ROWS_OF_A_PAIR, PAIRS = 4, 4
ENDS = ("succeeded", "failed", "canceled", "expired")


@pytest.fixture(scope="module")
def models_file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shared-model")
    tiny.save(folder / "model")
    sizes = "sizes = [[32, 32], [32, 48]]"
    alone, shared = (declared(name, max_steps=2000).replace("sizes = [[32, 32]]", sizes) for name in (ALONE, SHARED))
    file = folder / "models.toml"
    file.write_text(f"{alone}{shared}max_rows = {ROWS_OF_A_PAIR * PAIRS}\n")
    return file


@pytest.fixture(scope="module")
def served(models_file, tmp_path_factory) -> Iterator[Stack]:
    """A service without a worker."""
    settings = {"OMP_NUM_THREADS": "1", "LEASE": str(LEASE), "SWEEP_INTERVAL": "0.5"}
    with stack(tmp_path_factory.mktemp("shared"), {}, models_file=models_file, settings=settings) as started:
        yield started


@pytest.fixture
def worker(served, tmp_path) -> Iterator[Callable[..., Popen]]:
    """Starts workers of one model, with a program before them and settings of their own."""
    with ExitStack() as started:
        number = iter(range(100))

        def start(model: str = SHARED, *, program: str = "", **settings: str) -> Popen:
            command = python("-c", f"{program}\nfrom worker.__main__ import main; main()", "--model", model)
            log = tmp_path / f"worker-{next(number)}.log"
            return started.enter_context(running("worker", command, log, {**served.environment, **settings}))

        yield start


@pytest.fixture
def pair(api) -> Callable[..., str]:
    """Posts an edit of one target and gives its address."""

    def posted(model: str = SHARED, *, word: str = "dog", **sampling: object) -> str:
        target = {"prompt": f"a {word} on the beach", "edits": [{"kind": "replace"}]}
        body = {"model": model, "source": {"prompt": "a cat on the beach"}, "targets": [target], "sampling": sampling}
        response = api.post("/v1/edits", json=body)
        assert response.status_code == 202, response.text
        return response.headers["Location"]

    return posted


def pictures(api: httpx.Client, job: dict) -> list[bytes]:
    return [api.get(each["url"]).raise_for_status().content for each in job["artifacts"] if each["kind"] == "image"]


def turns(api: httpx.Client, job: dict) -> list[tuple[int, int, int]]:
    """Of the denoising turns of a job: how many followed each other with so many rows and jobs."""
    (url,) = (each["url"] for each in job["artifacts"] if each["name"] == "manifest.json")
    said = api.get(url).raise_for_status().json()["turns"]
    return [(each["turns"], each["rows"], each["jobs"]) for each in said if each["part"] == "denoise"]


def told(served: Stack, address: str) -> list[str]:
    with redis.Redis.from_url(served.redis_url, decode_responses=True) as client:
        return [fields["e"] for _, fields in client.xrange(keys.events(address.split("/")[-1]))]


def ended_once(served: Stack, address: str) -> bool:
    return sum(event in ENDS for event in told(served, address)) == 1


def test_jobs_share_turns_and_each_has_the_pictures_of_a_lone_run(worker, pair, until, api):
    asked = [{"word": "dog", "seed": 3, "steps": 6}, {"word": "fox", "seed": 4, "steps": 4, "guidance_scale": 5.0}]
    lone = [pair(ALONE, **each) for each in asked]
    shared = [pair(SHARED, **each) for each in asked]
    worker(ALONE)
    worker(SHARED)

    alone, together = [until(address) for address in lone], [until(address) for address in shared]

    assert [job["status"] for job in (*alone, *together)] == ["succeeded"] * 4
    assert [turns(api, job) for job in alone] == [[(6, 4, 1)], [(4, 4, 1)]]
    assert [turns(api, job) for job in together] == [[(4, 8, 2), (2, 4, 1)], [(4, 8, 2)]]
    assert [pictures(api, job) for job in together] == [pictures(api, job) for job in alone]


def test_no_message_is_left_of_jobs_that_joined(served, worker, pair, until):
    addresses = [pair(steps=5) for _ in range(PAIRS)]
    worker()

    assert [until(address)["status"] for address in addresses] == ["succeeded"] * PAIRS
    assert all(ended_once(served, address) for address in addresses)
    with redis.Redis.from_url(served.redis_url) as client:
        left = [client.llen(list_of(SHARED)), client.zcard(keys.order(SHARED)), client.zcard(keys.leases(SHARED))]
    assert left == [0, 0, 0]


def test_a_short_job_that_is_posted_behind_long_ones_ends_before_them(worker, pair, until, api):
    worker()
    long = [pair(steps=300), pair(steps=300)]
    for address in long:
        until(address, "running")
    short = until(pair(steps=4))

    assert short["status"] == "succeeded"
    assert turns(api, short) == [(4, 12, 3)]
    assert [until(address, "running", *ENDS)["status"] for address in long] == ["running"] * 2
    for address in long:
        api.post(f"{address}/cancel").raise_for_status()
        until(address)


def test_a_job_that_is_canceled_leaves_and_its_neighbour_does_not_notice(worker, pair, until, api, tmp_path):
    lone = pair(ALONE, seed=8, steps=8)
    worker(ALONE)
    canceled, neighbour = pair(steps=8, seed=9), pair(steps=8, seed=8)
    worker(program=held(tmp_path / "go", 8))
    for address in (canceled, neighbour):
        until(address, "running")

    api.post(f"{canceled}/cancel").raise_for_status()
    (tmp_path / "go").touch()

    assert until(canceled)["status"] == "canceled"
    job = until(neighbour)
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    assert [jobs for _, _, jobs in turns(api, job)] in ([2, 1], [1, 2, 1])
    assert pictures(api, job) == pictures(api, until(lone))


def test_the_jobs_of_a_killed_worker_are_finished_once(served, worker, pair, until, tmp_path):
    first = worker(program=held(tmp_path / "never", 8))
    addresses = [pair(steps=8) for _ in range(PAIRS)]
    for address in addresses:
        until(address, "running")
    first.kill()
    worker()

    jobs = [until(address) for address in addresses]

    assert [(job["status"], job["attempt"]) for job in jobs] == [("succeeded", 2)] * PAIRS
    assert all(ended_once(served, address) for address in addresses)


def test_a_worker_that_must_end_gives_all_its_jobs_back_and_spends_no_attempt(worker, pair, until, tmp_path):
    first = worker(program=held(tmp_path / "go", 8), GRACE="0.01")
    addresses = [pair(steps=8) for _ in range(2)]
    for address in addresses:
        until(address, "running")
    first.terminate()
    (tmp_path / "go").touch()
    assert first.wait(PATIENCE) == 0
    assert [(job["status"], job["attempt"]) for job in map(until_queued(until), addresses)] == [("queued", 0)] * 2
    worker()

    assert [until(address)["status"] for address in addresses] == ["succeeded"] * 2


def until_queued(until: Callable[..., dict]) -> Callable[[str], dict]:
    return lambda address: until(address, "queued", "running", *ENDS)


def test_a_worker_that_may_end_later_finishes_all_its_jobs_and_takes_no_other(worker, pair, until, tmp_path):
    first = worker(program=held(tmp_path / "go", 8), GRACE="600")
    addresses = [pair(steps=8) for _ in range(2)]
    for address in addresses:
        until(address, "running")
    first.terminate()
    later = pair(steps=2)
    (tmp_path / "go").touch()

    assert first.wait(PATIENCE) == 0
    assert [(until(address)["status"], until(address)["attempt"]) for address in addresses] == [("succeeded", 1)] * 2
    assert until(later, "queued", *ENDS)["status"] == "queued"
    worker()
    assert until(later)["status"] == "succeeded"


#: Kills the process at the third step of a run of 7 steps, as an edit does that a driver cannot bear.
POISONED = """
import os, signal
from p2p.cohort.member import Member
took = Member.took
def taken(self, answer):
    if self.num_steps == 7 and self.index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return took(self, answer)
Member.took = taken
"""


def test_a_job_that_kills_its_worker_hurts_its_neighbours_once(served, worker, pair, until):
    good = [pair(steps=40) for _ in range(9)]
    poison = pair(steps=7)
    process, started = worker(program=POISONED), 1

    def ended() -> bool:
        nonlocal process, started
        if process.poll() is not None:
            assert process.returncode == -signal.SIGKILL
            process, started = worker(program=POISONED), started + 1
        return all(until(address, "queued", "running", *ENDS)["status"] in ENDS for address in (*good, poison))

    assert eventually(ended)

    jobs = [until(address) for address in good]
    assert [job["status"] for job in jobs] == ["succeeded"] * 9
    assert (until(poison)["status"], until(poison)["error"]["code"]) == ("failed", "worker_lost")
    assert max(job["attempt"] for job in jobs) <= 2
    assert all(ended_once(served, address) for address in (*good, poison))


def test_a_job_of_another_size_is_passed_over_and_then_goes_next(worker, pair, until, api):
    """Jobs behind it join, as many as may go before it; then all rows become free for it."""
    first = pair(steps=40)
    other = pair(steps=2, height=32, width=48)
    behind = [pair(steps=2) for _ in range(PASSED_OVER + 4)]
    worker()

    jobs = [until(address) for address in behind]
    between = until(other)["started_at"]

    assert until(first)["started_at"] < between
    assert sum(job["started_at"] < between for job in jobs) == PASSED_OVER
    assert turns(api, until(other)) == [(2, 4, 1)] or turns(api, until(other))[0][2] == 1


def test_a_message_that_is_left_of_a_job_that_runs_is_harmless(served, worker, pair, until, tmp_path):
    """As a worker leaves it that moved the message and was too late."""
    address = pair(steps=8)
    with redis.Redis.from_url(served.redis_url) as client:
        (message,) = client.lrange(list_of(SHARED), 0, -1)
        kept = client.dump(f"rq:job:{message.decode()}")
        worker(program=held(tmp_path / "go", 8))
        until(address, "running")
        client.restore(f"rq:job:{message.decode()}", 60_000, kept, replace=True)
        client.rpush(list_of(SHARED), message)
        second = worker()

        assert eventually(lambda: client.llen(list_of(SHARED)) == 0)
    (tmp_path / "go").touch()
    job = until(address)

    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    assert ended_once(served, address)
    assert second.poll() is None


def test_a_worker_of_one_job_at_a_time_shares_nothing(worker, pair, until, api):
    addresses = [pair(ALONE, steps=3) for _ in range(3)]
    worker(ALONE)

    assert [turns(api, until(address)) for address in addresses] == [[(3, 4, 1)]] * 3


def test_a_worker_says_how_many_share_its_turns(worker, pair, until):
    port = free_port()
    addresses = [pair(steps=4) for _ in range(2)]
    worker(METRICS_PORT=str(port))
    for address in addresses:
        until(address)

    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=ANSWER).text
    assert f'p2p_admission_wait_seconds_count{{model="{SHARED}"}} 1.0' in metrics
    # Four steps of both and one turn that decodes them.
    assert f'p2p_turn_jobs_sum{{model="{SHARED}"}} 10.0' in metrics
