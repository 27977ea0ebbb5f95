"""Whatever the API's description allows, and what it does not, is sent to the API: Schemathesis, on a real Redis.

Every operation, every check, all phases, from one answer to the next by the description's links;
`schemathesis.toml` says where less is asked of an operation, and why.
"""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from jobs import moves
from jobs.errors import JobPlaneError
from jobs.model import JobError, JobProgress
from jobs.redis import keys
from jobs.redis.store import RedisJobStore
from service.api_keys import KeyRing
from stack.processes import python
from stack.services import Stack, stack

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
DOCUMENT = Path(__file__).parents[2] / "openapi.yaml"
#: The runner has no module to be run by, and its script is not on the path of every environment.
RUNNER = python("-c", "from schemathesis.cli import schemathesis; schemathesis()")


@pytest.fixture
def api(tmp_path) -> Iterator[Stack]:
    """The API alone; edits of its models are worked off by nobody, or within this process."""
    # Webhooks of generated addresses: the schema cannot tell which hosts are private ones.
    with stack(tmp_path, {}, settings={"BACKLOG": "1000000", "WEBHOOK_PRIVATE": "true"}) as started:
        yield started


@contextmanager
def worked_off(client: redis.Redis) -> Iterator[None]:
    """Within the block edits are begun as soon as they are posted and end at once: most succeed, some fail."""
    over = threading.Event()
    store = RedisJobStore(client)

    def work() -> None:
        while not over.wait(0.02):
            for model in client.smembers(keys.MODELS):
                for job_id in client.zrange(keys.waiting(model), 0, -1):
                    # Canceled or erased meanwhile.
                    with suppress(JobPlaneError):
                        job = store.make(moves.begin(store.get(job_id), "execution", timedelta(minutes=1)))
                        store.make(moves.report(job, JobProgress(step=1, steps=2)))
                        fails = job_id.startswith("0")
                        store.make(moves.fail(job, JobError(code="x", message="y")) if fails else moves.finish(job, ()))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_api_keeps_what_its_description_promises(api, tmp_path):
    with redis.Redis.from_url(api.redis_url, decode_responses=True) as client, worked_off(client):
        made = KeyRing(client).create("schemathesis")
        assert made
        run = subprocess.run(
            [
                *RUNNER,
                f"--config-file={CONFIGURATION}",
                "run",
                str(DOCUMENT),
                f"--url={api.url}",
                f"--header=Authorization: Bearer {made[1]}",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
