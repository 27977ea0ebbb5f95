"""The whole service over a Redis that fails over: real processes, and a primary that is killed while they work."""

import time
from collections.abc import Iterator

import httpx
import pytest

from benchmarks.recovery.failing_over import FailingOver, failing_over
from stack.services import Stack, stack
from tests.integration.conftest import waiter
from tests.patience import ANSWER, PATIENCE


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[FailingOver]:
    with failing_over(tmp_path_factory.mktemp("failing-over")) as started:
        yield started


@pytest.fixture(scope="module")
def up(servers, tiny_models, tmp_path_factory) -> Iterator[Stack]:
    """Every process of the service, by the Sentinels' URL alone."""
    settings = {"OMP_NUM_THREADS": "1", "SWEEP_INTERVAL": "0.5", "REDIS_REPLICAS": "1"}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("REDIS_URL", servers.url)
        with stack(
            tmp_path_factory.mktemp("stack"), {"tiny": 1}, models_file=tiny_models, settings=settings
        ) as started:
            yield started


def accepted(api: httpx.Client, name: str, steps: int) -> str:
    """The address of an edit, sent until it is accepted, as a client does; always by the same key."""
    body = {
        "model": "tiny",
        "source": {"prompt": "a cat"},
        "targets": [{"prompt": "a dog"}],
        "sampling": {"steps": steps},
    }
    deadline = time.monotonic() + PATIENCE
    while True:
        response = api.post("/v1/edits", json=body, headers={"Idempotency-Key": name})
        if response.status_code == 202:
            return response.headers["Location"]
        assert response.status_code == 503, response.text
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_each_process_outlasts_a_failover_and_edits_end_that_ran_waited_or_came_meanwhile(up, servers):
    processes = {name: process.pid for name, process in up.processes.items()}
    with httpx.Client(base_url=up.url, timeout=ANSWER) as api:
        until = waiter(api)
        running, waiting = (accepted(api, name, steps) for name, steps in (("running", 200), ("waiting", 2)))
        until(running, "running")
        killed = servers.kill_primary()
        # A server that is killed while it is the primary does not know better when it comes back.
        servers.start_server(killed)
        meanwhile = accepted(api, "meanwhile", 2)
        servers.wait_until_whole()
        ended = [until(edit) for edit in (running, waiting, meanwhile)]

        assert [edit["status"] for edit in ended] == ["succeeded"] * 3
        for edit in ended:
            assert all(httpx.get(artifact["url"], timeout=ANSWER).is_success for artifact in edit["artifacts"])
        # No process was started again: nobody looks after those of the stack.
        up.check()
        assert {name: process.pid for name, process in up.processes.items()} == processes
        assert accepted(api, "running", 200) == running
