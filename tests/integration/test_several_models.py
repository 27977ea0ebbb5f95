"""One worker of several models: whatever becomes of it, the jobs of both queues end once, on the right model."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from subprocess import Popen

import httpx
import pytest
import redis

from jobs.model import new_job
from jobs.redis import keys
from jobs.redis.message import list_of
from jobs.redis.queue import RqJobQueue
from jobs.redis.store import RedisJobStore
from p2p.spec import EditSpec
from stack.ports import free_port
from stack.processes import python, running, stop
from stack.redis_server import private_socket, server_command, url_of
from stack.services import Stack, stack
from tests import tiny
from tests.declared import declared as declaration
from tests.edits import CAT_TO_DOG
from tests.held import held
from tests.patience import ANSWER, LEASE, PATIENCE, eventually
from worker.turns import PASSED_OVER

MODELS = ("left", "right")
#: Bytes: more than one of the models occupies, and less than both do.
ROOM_FOR_ONE = "1600KB"


@pytest.fixture(scope="module")
def models_file(tmp_path_factory) -> Path:
    """Two models of other weights and another depth."""
    folder = tmp_path_factory.mktemp("two-models")
    tiny.save(folder / "left")
    tiny.pipeline(unet={"layers_per_block": 2}).save_pretrained(folder / "right")
    file = folder / "models.toml"
    file.write_text("".join(declaration(model, path=model, max_steps=400) for model in MODELS))
    return file


@pytest.fixture(scope="module")
def served(models_file, tmp_path_factory) -> Iterator[Stack]:
    """A service without a worker."""
    settings = {"OMP_NUM_THREADS": "1", "LEASE": str(LEASE), "SWEEP_INTERVAL": "0.5"}
    with stack(tmp_path_factory.mktemp("several"), {}, models_file=models_file, settings=settings) as started:
        yield started


@pytest.fixture
def worker(served, tmp_path) -> Iterator[Callable[..., Popen]]:
    """Starts workers of both models, with a program before them and settings of their own."""
    with ExitStack() as started:
        number = iter(range(100))

        def start(program: str = "", *, models: tuple[str, ...] = MODELS, **settings: str) -> Popen:
            named = [argument for model in models for argument in ("--model", model)]
            command = python("-c", f"{program}\nfrom worker.__main__ import main; main()", *named)
            log = tmp_path / f"worker-{next(number)}.log"
            return started.enter_context(running("worker", command, log, {**served.environment, **settings}))

        yield start


def messages_left(served: Stack) -> dict[str, int]:
    """By model, how many messages wait."""
    with redis.Redis.from_url(served.redis_url) as client:
        return {model: client.llen(list_of(model)) for model in MODELS}


def ends(served: Stack) -> dict[str, int]:
    """By job, how often its end was written."""
    counted: dict[str, int] = {}
    with redis.Redis.from_url(served.redis_url, decode_responses=True) as client:
        for key in client.scan_iter(keys.events("*")):
            told = [fields["e"] for _, fields in client.xrange(key)]
            counted[key.split(":")[1]] = sum(event in ("succeeded", "failed", "canceled", "expired") for event in told)
    return counted


def manifest(api: httpx.Client, job: dict) -> dict:
    (url,) = (each["url"] for each in job["artifacts"] if each["name"] == "manifest.json")
    return api.get(url).raise_for_status().json()


def pictures(api: httpx.Client, job: dict) -> list[bytes]:
    return [api.get(each["url"]).raise_for_status().content for each in job["artifacts"] if each["kind"] == "image"]


def test_a_worker_that_is_killed_loses_no_job_of_either_queue(served, worker, post, until, tmp_path):
    """Within a job of one model, then within a job of the other, with further jobs in both queues."""
    first = worker(held(tmp_path / "never", 8))
    running_first = post("left", steps=8)
    until(running_first, "running")
    # Behind the running one, so that the second worker is killed within a job of the other model.
    others = [post(model, steps=steps) for model, steps in (("right", 9), ("left", 2), ("right", 2))]
    first.kill()
    second = worker(held(tmp_path / "never", 9))
    until(others[0], "running")
    second.kill()
    worker()

    jobs = [until(address) for address in (running_first, *others)]

    assert [job["status"] for job in jobs] == ["succeeded"] * 4
    assert all(ends(served)[address.split("/")[-1]] == 1 for address in (running_first, *others))


#: Kills its process once a job's message has been moved and before anything was done with it.
KILLED_WITH_A_MESSAGE = """
import os, signal
from worker.gpu_worker import GpuWorker
GpuWorker.execute_job = lambda self, job, queue: os.kill(os.getpid(), signal.SIGKILL)
"""
#: Kills its process within the loading of the model on the right.
KILLED_WHILE_LOADING = """
import os, signal
import worker.models as models
load = models.load_family
def killed(declaration, **how):
    if declaration.id == "right":
        os.kill(os.getpid(), signal.SIGKILL)
    return load(declaration, **how)
models.load_family = killed
"""


@pytest.mark.parametrize("program", [KILLED_WITH_A_MESSAGE, KILLED_WHILE_LOADING], ids=["message moved", "loading"])
def test_a_job_is_not_lost_before_it_is_begun(served, worker, post, until, program):
    addresses = [post("right", steps=2), post("right", steps=2), post("left", steps=2)]

    killed = worker(program)
    assert killed.wait(PATIENCE) == -signal.SIGKILL
    left = messages_left(served)
    worker()

    jobs = [until(address) for address in addresses]
    assert [(job["status"], job["attempt"]) for job in jobs] == [("succeeded", 1)] * 3
    assert all(ends(served)[address.split("/")[-1]] == 1 for address in addresses)
    if program is KILLED_WHILE_LOADING:
        assert left["right"] == 2, "a job left its queue before its model was there"


def test_pictures_are_those_of_a_fresh_worker_also_after_a_model_has_left_and_come_back(
    served, worker, post, until, api
):
    own = {}
    for model in MODELS:
        alone = worker(models=(model,))
        own[model] = pictures(api, until(post(model, seed=3)))
        alone.terminate()
        assert alone.wait(PATIENCE) == 0
    port = free_port()
    worker(WORKER_MEMORY=ROOM_FOR_ONE, METRICS_PORT=str(port))

    for model in ("left", "right", "left", "right"):
        job = until(post(model, seed=3))
        assert job["status"] == "succeeded", job["error"]
        assert manifest(api, job)["model"]["id"] == model
        assert pictures(api, job) == own[model]

    assert own["left"] != own["right"]
    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=ANSWER).text
    assert re.findall(r'p2p_model_loaded{model="(\w+)"} (\d)', metrics) == [("left", "0"), ("right", "1")]
    loads = dict(re.findall(r'p2p_model_loads_total{model="(\w+)",result="loaded"} (\d)', metrics))
    assert loads == {"left": "2", "right": "2"}


def test_models_that_fit_stay_and_no_message_does(served, worker, post, until):
    port = free_port()
    worker(METRICS_PORT=str(port))
    for model in (*MODELS, *MODELS):
        assert until(post(model))["status"] == "succeeded"
    with redis.Redis.from_url(served.redis_url) as client:
        assert [client.llen(f"{list_of(model)}:intermediate") for model in MODELS] == [0, 0]

    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=ANSWER).text
    assert dict(re.findall(r'p2p_model_loads_total{model="(\w+)",result="loaded"} (\d)', metrics)) == {
        "left": "1",
        "right": "1",
    }


def test_it_counts_as_a_worker_of_each_of_its_models(served, worker, api):
    """Workers that other tests killed lapse at any time: this one counts, and that the API tells what Redis has."""

    def counted() -> tuple[dict[str, int], list[list[str]]]:
        """By model, how many workers Redis has; and the models of this one, in a list that is empty without it."""
        with redis.Redis.from_url(served.redis_url) as client:
            seen = RqJobQueue(client).workers()
        by_model = {model: sum(model in each.models for each in seen) for model in MODELS}
        return by_model, [list(each.models) for each in seen if each.pid == str(process.pid)]

    def told() -> dict[str, int]:
        return {model: said["workers"] for model, said in api.get("/readyz").json()["models"].items()}

    process = worker()

    assert eventually(lambda: counted() == (told(), [list(MODELS)]))
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert eventually(lambda: counted() == (told(), []))


def test_a_worker_told_to_stop_finishes_its_job_and_takes_none_of_the_other_model(worker, post, until, tmp_path):
    process = worker(held(tmp_path / "go", 8), GRACE="600")
    address = post("left", steps=8)
    until(address, "running")
    other = post("right", steps=2)

    process.terminate()
    (tmp_path / "go").touch()

    assert process.wait(PATIENCE) == 0
    assert (until(address)["status"], until(address)["attempt"]) == ("succeeded", 1)
    assert until(other, "queued", "running", "succeeded")["status"] == "queued"
    worker()
    assert until(other)["status"] == "succeeded"


#: Loads the model on the right once a file is there.
SLOW = """
import os, time
import worker.models as models
load = models.load_family
def slow(declaration, **how):
    if declaration.id == "right":
        open({loads!r}, "w").close()
        while not os.path.exists({go!r}):
            time.sleep(0.01)
    return load(declaration, **how)
models.load_family = slow
"""


def test_a_worker_told_to_stop_while_it_loads_a_model_takes_no_job_of_it(served, worker, post, until, tmp_path):
    loads, go = tmp_path / "loads", tmp_path / "go"
    address, process = post("right", steps=2), worker(SLOW.format(loads=str(loads), go=str(go)))
    assert eventually(loads.exists)
    assert until(address, "queued")["status"] == "queued"

    process.terminate()
    go.touch()

    assert process.wait(PATIENCE) == 0
    assert (until(address, "queued")["attempt"], messages_left(served)["right"]) == (0, 1)
    worker()
    assert (until(address)["status"], until(address)["attempt"]) == ("succeeded", 1)


#: Tries a model that could not be loaded again soon.
SOON = "import worker.taking; worker.taking.FAILED = 0.2"


def served_by(served: Stack, process: Popen) -> set[str]:
    """The models that a worker says it serves. Others, which were killed here, count as alive for a while."""
    with redis.Redis.from_url(served.redis_url) as client:
        return {model for seen in RqJobQueue(client).workers() if seen.pid == str(process.pid) for model in seen.models}


def test_a_model_that_cannot_be_loaded_leaves_its_jobs_where_they_are(served, worker, post, until, models_file):
    process = worker(SOON)
    assert until(post("left"))["status"] == "succeeded"
    assert served_by(served, process) == {"left", "right"}
    weights, aside = models_file.parent / "right" / "unet", models_file.parent / "aside"
    weights.rename(aside)
    waiting = post("right")
    try:
        assert eventually(lambda: served_by(served, process) == {"left"})
        assert until(post("left"))["status"] == "succeeded"
        assert (until(waiting, "queued")["attempt"], messages_left(served)["right"]) == (0, 1)
        assert process.poll() is None
    finally:
        aside.rename(weights)

    job = until(waiting)
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    assert eventually(lambda: served_by(served, process) == {"left", "right"})


def test_jobs_of_a_model_in_memory_keep_those_of_another_one_waiting_for_a_few_turns_alone(served, worker, post, until):
    """Twelve jobs of one model wait, and one of another, which has to be loaded: eight go before it, and no more."""
    many = [post("left", steps=1) for _ in range(12)]
    one = post("right", steps=1)
    worker()

    until(one)

    began = sorted((until(address)["started_at"], address) for address in (*many, one))
    assert [address for _, address in began].index(one) == PASSED_OVER


def test_a_worker_outlasts_a_restart_of_redis(models_file, tmp_path):
    with ExitStack() as servers:
        path = servers.enter_context(private_socket())
        command = [*server_command(path, tmp_path, keep=True), "--appendfsync", "always"]
        server = servers.enter_context(running("redis", command, tmp_path / "redis.log"))
        client = servers.enter_context(redis.Redis.from_url(url_of(path), decode_responses=True, retry=None))
        assert eventually(lambda: answers(client))
        environment = {"REDIS_URL": url_of(path), "MODELS_FILE": str(models_file), "OMP_NUM_THREADS": "1"}
        environment["STORAGE_URL"] = str(tmp_path / "artifacts")
        named = [argument for model in MODELS for argument in ("--model", model)]
        log = tmp_path / "worker.log"
        process = servers.enter_context(running("worker", python("-m", "worker", *named), log, environment))
        first = created(client, "left")
        assert eventually(lambda: RedisJobStore(client).get(first).status == "succeeded")
        # Without Redis, RQ ends a worker that still notes how a job went.
        assert eventually(lambda: states(client) == {"idle"})

        stop(server)
        assert eventually(lambda: "cannot be reached" in log.read_text())
        servers.enter_context(running("redis", command, tmp_path / "redis.log"))
        assert eventually(lambda: answers(client))

        job_id = created(client, "right")
        assert eventually(lambda: RedisJobStore(client).get(job_id).status == "succeeded")
        assert process.poll() is None


def created(client: redis.Redis, model: str) -> str:
    asked = CAT_TO_DOG.model_dump(exclude_unset=True)
    sampling = {"steps": 2, "guidance_scale": 3.0, "height": 32, "width": 32}
    spec = EditSpec.model_validate({**asked, "model": model, "sampling": sampling})
    job = new_job(spec, lifetime=timedelta(hours=1))
    RedisJobStore(client).create(job)
    return job.id


def states(client: redis.Redis) -> set[str]:
    """Of all workers, as RQ notes them; other keys of RQ, of other types, begin like theirs."""
    return {client.hget(key, "state") for key in client.scan_iter("rq:worker:*", _type="hash")}


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
