"""The whole service: real processes, a real Redis, tiny models."""

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import httpx
import pytest

from stack.s3_server import s3_server
from stack.services import Stack, stack
from tests.patience import ANSWER, PATIENCE


@pytest.fixture(scope="session")
def served(tiny_models, tmp_path_factory) -> Iterator[Stack]:
    """The API, two workers of "tiny" and one of "tiny-too"; nobody serves "tiny-third"."""
    folder = tmp_path_factory.mktemp("stack")
    # One thread each: more only stand in each other's way where cores are few.
    with stack(
        folder,
        {"tiny": 2, "tiny-too": 1},
        models_file=tiny_models,
        settings={"OMP_NUM_THREADS": "1", "SWEEP_INTERVAL": "0.5", "MCP": "1"},
    ) as started:
        yield started


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory) -> Iterator[str]:
    """A real S3 server; where none can start, tests fail and say what to install."""
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture
def served_on_s3(tiny_models, tmp_path, s3_url) -> Iterator[SimpleNamespace]:
    """The API and a worker of "tiny" that keep their artifacts on the S3 server."""
    settings = {"OMP_NUM_THREADS": "1", "STORAGE_URL": s3_url}
    with (
        stack(tmp_path, {"tiny": 1}, models_file=tiny_models, settings=settings) as started,
        httpx.Client(base_url=started.url, timeout=ANSWER) as client,
    ):
        yield SimpleNamespace(post=poster(client), until=waiter(client), api=client)


@pytest.fixture(scope="module")
def api(served: Stack) -> Iterator[httpx.Client]:
    """A client of the served API; to make one takes 20 ms of a core, for the certificates that httpx reads."""
    with httpx.Client(base_url=served.url, timeout=ANSWER) as client:
        yield client


@pytest.fixture
def post(api: httpx.Client) -> Callable[..., str]:
    """Posts an edit and gives its address."""
    return poster(api)


def poster(api: httpx.Client) -> Callable[..., str]:
    def posted(model: str = "tiny", *, source: str = "a cat on the beach", **sampling: object) -> str:
        targets = [
            {
                "prompt": source.replace("cat", "dog"),
                "edits": [{"kind": "replace"}],
                "local_blend": {"words": [{"word": "dog"}]},
            },
            {"prompt": f"{source} at night", "edits": [{"kind": "refine"}]},
        ]
        body = {"model": model, "source": {"prompt": source}, "targets": targets, "sampling": sampling}
        response = api.post("/v1/edits", json=body)
        assert response.status_code == 202, response.text
        return response.headers["Location"]

    return posted


@pytest.fixture
def until(api: httpx.Client) -> Callable[..., dict]:
    """Waits until an edit is in one of some states, and gives it."""
    return waiter(api)


def waiter(api: httpx.Client) -> Callable[..., dict]:
    def waited(address: str, *statuses: str) -> dict:
        wanted = statuses or ("succeeded", "failed", "canceled", "expired")
        deadline, between = time.monotonic() + PATIENCE, 0.05
        while time.monotonic() < deadline:
            job = api.get(address).raise_for_status().json()
            if job["status"] in wanted:
                return job
            time.sleep(between)
            # An end stays, and is looked for less and less often: a look takes milliseconds of a core from the job.
            between = between if statuses else min(1.2 * between, 0.25)
        raise AssertionError(f"{address} is {job['status']} and never became {wanted}")

    return waited
