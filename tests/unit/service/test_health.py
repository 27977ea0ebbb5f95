"""Whether it lives, whether it is ready, what it offers."""

import redis

from jobs.errors import StorageUnavailable


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
    assert first["defaults"] == {"steps": 3, "guidance_scale": 3.0}
    assert first["limits"] == {"max_steps": 400, "max_targets": 3}
    assert "path" not in first
