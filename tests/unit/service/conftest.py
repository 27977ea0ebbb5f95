"""The API over the in-memory twins of the job plane."""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import httpx2
import pytest
from pydantic_core.core_schema import ErrorType
from starlette.testclient import TestClient

from jobs.catalogue import load_catalogue
from jobs.follow.followers import Followers
from jobs.redis.backlog import Standing
from jobs.testing import (
    AsyncInMemoryJobStore,
    InMemoryBatches,
    InMemoryFeed,
    InMemoryJobStore,
    MemoryStorage,
    RecordingQueue,
)
from picture_files.reading import ImageLimits, ImageReader
from prompts.counting import token_counters
from service.api_keys import Everybody
from service.artifacts.signing import UrlSigner
from service.edits.stream_bound import StreamBound
from service.http.errors import MEDIA_TYPE
from service.images.testing import InMemoryImages, InMemoryInversions
from service.images.uploads import ImagePlane
from service.plane import Plane
from service.settings import Settings
from tests.patience import PATIENCE
from tests.serving import serving
from tests.unit.service.apps import Apps
from tools.error_codes import DOCUMENT
from webhooks.testing import InMemoryDeliveries

BASE_URL = "http://api.test"
ERRORS = DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture
def parts(tiny_models: Path) -> SimpleNamespace:
    """The twins behind `client`, to look at and to change."""
    store, clock = InMemoryJobStore(), SimpleNamespace(now=1_000_000.0)
    catalogue, storage, records = load_catalogue(tiny_models), MemoryStorage(), InMemoryImages()
    inversions, draws = InMemoryInversions(), count(1000)
    plane = Plane(
        store=AsyncInMemoryJobStore(store),
        batches=InMemoryBatches(store),
        queue=RecordingQueue(),
        storage=storage,
        catalogue=catalogue,
        counters=token_counters(catalogue),
        signer=UrlSigner("a secret", BASE_URL, clock=lambda: clock.now),
        job_lifetime=timedelta(hours=1),
        url_lifetime=timedelta(minutes=10),
        queue_limit=timedelta(hours=2),
        callers=Everybody(),
        backlog=100,
        deliveries=InMemoryDeliveries(),
        webhook_private=False,
        # The seeds that are drawn are 1000, 1001 and so on.
        draw=lambda: next(draws),
        images=ImagePlane(
            records=records,
            inversions=inversions,
            storage=storage,
            reader=ImageReader(
                ImageLimits(bytes=1_000_000, pixels=1_000_000, seconds=5, at_once=2, memory=300_000_000)
            ),
            lifetime=timedelta(hours=1),
            most=100,
        ),
        followers=Followers(InMemoryFeed(store)),
        stream_bound=StreamBound(64),
    )
    return SimpleNamespace(
        plane=plane,
        store=store,
        queue=plane.queue,
        storage=plane.storage,
        clock=clock,
        deliveries=plane.deliveries,
        images=records,
        inversions=inversions,
    )


def _is_in_the_docs(response: httpx2.Response) -> None:
    """Whatever code any of these tests provokes must stand in docs/errors.md, or be pydantic's own."""
    if response.headers.get("Content-Type") == MEDIA_TYPE and response.read():
        problem = json.loads(response.read())
        codes = {problem["code"], *(error["code"] for error in problem.get("errors", ()))}
        assert {code for code in codes if f"`{code}`" not in ERRORS} <= set(get_args(ErrorType)), codes


@pytest.fixture(scope="session")
def apps() -> Apps:
    """The APIs that tests share."""
    return Apps()


@pytest.fixture
def serve(parts: SimpleNamespace, apps: Apps) -> Iterator[Callable[..., TestClient]]:
    """Makes a client of an API with some settings of its own."""
    opened = ExitStack()

    def start(standings: Callable[[], Sequence[Standing]] = tuple, **settings: object) -> TestClient:
        # Followers belong to one event loop, as each client does.
        followers = Followers(InMemoryFeed(parts.store))
        plane = replace(parts.plane, standings=standings, followers=followers)

        @asynccontextmanager
        async def connect(_):
            async with followers:
                yield plane

        app = opened.enter_context(apps.one(Settings(**{"allowed_hosts": "api.test", **settings}), connect))
        client = TestClient(app, base_url=BASE_URL, raise_server_exceptions=False)
        client.event_hooks["response"].append(_is_in_the_docs)
        return opened.enter_context(client)

    with opened:
        yield start


@pytest.fixture
def client(serve: Callable[..., TestClient]) -> TestClient:
    """The API with one model called "tiny", and nobody who works jobs off."""
    return serve()


@pytest.fixture
def edit() -> dict:
    """A body that is accepted."""
    return {
        "model": "tiny",
        "source": {"prompt": "a cat on the beach"},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    }


@pytest.fixture
def connected_app(parts, apps):
    """The API; a server enters it, so no client of this process may."""
    followers = Followers(InMemoryFeed(parts.store))

    @asynccontextmanager
    async def connect(_):
        async with followers:
            yield replace(parts.plane, followers=followers)

    with apps.one(Settings(), connect) as app:
        yield app


@pytest.fixture
def listening(connected_app):
    """Serves the API, or another app, behind real connections with some deadlines; gives a way to connect."""
    with ExitStack() as parts:

        def start(app=connected_app, **settings: float) -> SimpleNamespace:
            late = {f"{name}_seconds": PATIENCE for name in ("head", "body", "idle", "send")}
            port = parts.enter_context(serving(app, Settings(**{**late, **settings})))
            opened: list[socket.socket] = []

            def connect(first: bytes = b"", *, window: int = 0) -> socket.socket:
                opened.append(parts.enter_context(socket.socket()))
                opened[-1].settimeout(PATIENCE)
                if window:
                    opened[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
                opened[-1].connect(("127.0.0.1", port))
                opened[-1].sendall(first)
                return opened[-1]

            return SimpleNamespace(connect=connect, port=port)

        yield start
