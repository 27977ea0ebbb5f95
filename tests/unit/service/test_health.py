"""Whether it lives, whether it is ready, what it offers."""

import asyncio
from types import SimpleNamespace

import pytest
import redis
from obstore.store import LocalStore

from jobs.errors import StorageUnavailable
from jobs.storage import CHECKED, ObstoreStorage
from layers.shared_look import SharedLook


def test_it_says_that_it_lives(client):
    assert client.get("/livez").json() == {"status": "alive"}


def test_it_says_who_serves_each_model(client, parts):
    answer = client.get("/readyz").json()

    assert answer == {"status": "ready", "models": {name: {"workers": 1} for name in parts.plane.catalogue}}


def test_it_is_not_ready_without_redis_but_lives(client, parts, monkeypatch):
    async def ping(self):
        raise redis.ConnectionError("refused by 10.0.0.1")

    monkeypatch.setattr(type(parts.plane.store), "ping", ping)

    response = client.get("/readyz")

    assert (response.status_code, response.json()["code"]) == (503, "redis_unavailable")
    assert "10.0.0.1" not in response.text
    assert client.get("/livez").is_success


def test_it_is_not_ready_where_nothing_can_be_stored(client, parts, monkeypatch):
    async def check():
        raise StorageUnavailable("take a test object")

    monkeypatch.setattr(parts.storage, "check", check)

    response = client.get("/readyz")

    assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")


def test_it_says_what_each_model_can_do(client):
    first, second, _ = client.get("/v1/models").json()["models"]

    assert (first["id"], second["id"]) == ("tiny", "tiny-too")
    assert (first["sizes"], first["max_tokens"]) == ([[32, 32]], 24)
    assert first["defaults"] == {
        "steps": 3,
        "guidance_scale": 3.0,
        "keep": None,
        "cross_window": None,
        "self_window": None,
    }
    assert first["limits"] == {"max_steps": 400, "max_targets": 3}
    assert "path" not in first


def test_a_look_writes_to_the_storage_once_in_a_while(tmp_path, monkeypatch):
    written, clock = [], SimpleNamespace(now=0.0)

    async def put(_, key, data):
        written.append(key)

    monkeypatch.setattr("jobs.storage.obstore.put_async", put)
    storage = ObstoreStorage(LocalStore(tmp_path), clock=lambda: clock.now)

    for _ in range(100):
        asyncio.run(storage.check())
    assert written == ["health"]
    clock.now += CHECKED
    asyncio.run(storage.check())
    assert written == ["health", "health"]


def test_a_storage_that_took_nothing_is_asked_again_at_once(tmp_path, monkeypatch):
    tried = []

    async def put(*_):
        tried.append(True)
        raise OSError

    monkeypatch.setattr("jobs.storage.obstore.put_async", put)
    storage = ObstoreStorage(LocalStore(tmp_path))

    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            asyncio.run(storage.check())
    assert len(tried) == 3


@pytest.mark.parametrize("error", [None, StorageUnavailable("take a test object")])
def test_many_who_ask_at_once_cost_one_look(error):
    looks = []

    async def asked():
        shared, go_on = SharedLook(), asyncio.Event()

        async def look():
            looks.append(True)
            await go_on.wait()
            if error:
                raise error
            return "ready"

        waiting = [asyncio.create_task(shared.outcome(look)) for _ in range(1000)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # who leaves takes it from nobody
        await asyncio.sleep(0)
        go_on.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert found[1:] == [error or "ready"] * 999
        go_on.set()
        await asyncio.gather(shared.outcome(look), return_exceptions=True)

    asyncio.run(asked())
    assert len(looks) == 2
