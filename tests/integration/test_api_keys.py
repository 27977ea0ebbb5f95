"""Keys: made, listed and revoked by a command, hashed at rest; and what is one key's is no other's."""

import argparse
import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
import redis.asyncio
import uvicorn
from PIL import Image
from starlette.testclient import TestClient

from admin.keys import add_keys
from jobs import moves
from jobs.model import ANYBODY, Artifact, artifact_key
from jobs.redis.sources import RedisKeptSources
from jobs.redis.store import RedisJobStore
from jobs.storage import open_storage
from service import __main__ as program
from service.__main__ import host_for
from service.api_keys import KEYS, KeyHolders, KeyRing
from service.app import create_app
from service.http.errors import Unauthenticated
from service.settings import Settings
from tests.issuer import AUDIENCE, NAME, Issuer, issuing
from tests.kept_inversions import kept_inversion


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 20)).save(file, "PNG")
    return file.getvalue()


def _inverted(owner: str, image: str, client) -> str:
    """An inversion that is kept."""
    inversion = kept_inversion("0" * 32, image, owner=owner)
    assert RedisKeptSources(client).keep(inversion)
    return inversion.id


PICTURE = _picture()
#: For whom the first key's edit is made.
SUBJECT = "user-4711"
EDIT = {
    "model": "tiny",
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
}


@pytest.fixture
def ring(redis_client) -> KeyRing:
    """The keys of an empty Redis."""
    redis_client.flushdb()
    return KeyRing(redis_client)


@pytest.fixture
def caller_of(redis_url):
    """Who sends a header, to an API that has just started."""

    def found(header: str, *, open_without_keys: bool = True):
        async def asked():
            async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
                return await KeyHolders(client, open_without_keys=open_without_keys).of(header)

        return asyncio.run(asked())

    return found


def test_without_any_key_everybody_is_one_owner(ring, caller_of):
    assert caller_of("").owner == ANYBODY
    assert caller_of("Bearer what OpenAI's clients must have").owner == ANYBODY
    with pytest.raises(Unauthenticated):
        caller_of(f"Bearer p2p_{'0' * 12}_{'a' * 43}")  # of an installation that is no more, perhaps


def test_with_a_key_nobody_without_one_is_let_in(ring, caller_of):
    key, token = ring.create("one")

    assert caller_of(f"Bearer {token}").owner == key.id
    for header in ("", "Bearer", f"Basic {token}", f"Bearer {token}x", f"Bearer p2p_{key.id}_", "Bearer p2p__", token):
        with pytest.raises(Unauthenticated):
            caller_of(header)


def test_a_revoked_key_opens_nothing_and_leaves_the_door_closed(ring, caller_of):
    key, token = ring.create("one")
    ring.revoke(key.id)

    for header in (f"Bearer {token}", ""):
        with pytest.raises(Unauthenticated):
            caller_of(header)


def test_where_nobody_is_let_in_without_a_key_a_redis_that_was_emptied_lets_nobody_in(ring, redis_client, caller_of):
    _, token = ring.create("one")
    redis_client.flushdb()

    for header in ("", f"Bearer {token}"):
        with pytest.raises(Unauthenticated):
            caller_of(header, open_without_keys=False)


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1", 200), ("::1", 200), ("localhost", 200), ("0.0.0.0", 401), ("10.0.0.7", 401)]
)
def test_without_any_key_loopback_alone_is_open(ring, redis_url, tiny_models, tmp_path, host, status):
    settings = Settings(redis_url=redis_url, host=host, models_file=tiny_models, storage_url=str(tmp_path))

    with TestClient(create_app(settings), base_url="http://localhost", raise_server_exceptions=False) as client:
        assert client.get("/v1/edits").status_code == status


@pytest.mark.parametrize(("has_key", "listens_on"), [(False, "127.0.0.1"), (True, "0.0.0.0")])
def test_the_application_is_told_where_it_listens(
    ring, redis_url, tiny_models, tmp_path, monkeypatch, has_key, listens_on
):
    """Not where it was to listen: on loopback for want of a key it is open, and elsewhere it is not."""
    if has_key:
        ring.create("one")
    told = []
    for name, value in {
        "REDIS_URL": redis_url,
        "HOST": "0.0.0.0",
        "MODELS_FILE": tiny_models,
        "STORAGE_URL": tmp_path,
    }.items():
        monkeypatch.setenv(name, str(value))
    # Of the process, which is the tests' own here.
    monkeypatch.setattr(program, "set_up_logs", lambda _: None)
    monkeypatch.setattr(program, "show_process", lambda _: None)
    monkeypatch.setattr(program, "described", told.append)

    def run(server: uvicorn.Server) -> None:
        told.append(server.config.host)
        server.started = True

    monkeypatch.setattr(uvicorn.Server, "run", run)

    program.main()

    settings, host = told
    assert (settings.host, host) == (listens_on, listens_on)


def test_a_secret_is_kept_as_a_digest_alone(ring, redis_client):
    _, token = ring.create("one")

    assert token.split("_", 2)[2] not in str(redis_client.hgetall(KEYS))


def test_a_keys_limits_are_its_callers(ring, caller_of):
    _, token = ring.create("one", per_minute=6, burst=2, active=3)

    limits = caller_of(f"Bearer {token}").limits
    assert (limits.per_minute, limits.burst, limits.active) == (6, 2, 3)


def test_keys_are_made_listed_and_revoked_by_a_command(ring, redis_url, caller_of, tmp_path):
    def admin(*arguments: str) -> str:
        command = [sys.executable, "-m", "admin", "keys", *arguments]
        environment = {"REDIS_URL": redis_url, "AUDIT_LOG": str(tmp_path / "audit.log")}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    token = admin("create", "mine", "--per-minute", "60")
    key_id = token.split("_")[1]
    assert caller_of(f"Bearer {token}").owner == key_id
    assert "python -m admin keys create NAME" in admin("create", "first", "--unless-any")
    assert key_id in admin("list")
    assert token.split("_", 2)[2] not in admin("list")

    admin("revoke", key_id)

    assert "REVOKED" in admin("list")
    noted = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    # Each command before it is done, then what it did; to look changes nothing.
    assert [each["event"] for each in noted if each.get("key") in (None, key_id)] == [
        *("admin_command", "key_created", "admin_command", "admin_command", "key_revoked"),
    ]
    assert token.split("_", 2)[2] not in str(noted)
    with pytest.raises(Unauthenticated):
        caller_of(f"Bearer {token}")


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "some", "1e400"])
@pytest.mark.parametrize("limit", ["per-minute", "burst", "active", "streams", "gpu-seconds-a-day", "pictures-a-day"])
def test_a_limit_that_is_no_number_above_0_is_refused(limit, given, capsys):
    """The list called 0 edits a minute "any number of", and -1 pictures a day let nobody in, for ever."""
    parser = argparse.ArgumentParser()
    add_keys(parser.add_subparsers())

    with pytest.raises(SystemExit):
        parser.parse_args(["keys", "create", "name", f"--{limit}={given}"])

    assert "leave it out for no limit" in capsys.readouterr().err
    assert parser.parse_args(["keys", "create", "name", f"--{limit}=7"])


@pytest.mark.parametrize(("has_key", "listens_on"), [(False, "127.0.0.1"), (True, "0.0.0.0")])
def test_without_any_key_the_api_listens_on_loopback(ring, redis_url, has_key, listens_on):
    if has_key:
        ring.create("one")

    assert host_for(Settings(redis_url=redis_url, host="0.0.0.0")) == listens_on


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """An identity provider."""
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def two(request, ring, redis_url, redis_client, tiny_models, tmp_path, issuer) -> Iterator[SimpleNamespace]:
    """An API with two keys, or with tokens of two subjects; the first one's edit has succeeded."""
    storage = open_storage(str(tmp_path))
    provider = {"jwt_issuer": NAME, "jwt_audience": AUDIENCE, "jwt_jwks_url": issuer.jwks_url}
    settings = Settings(redis_url=redis_url, models_file=tiny_models, storage_url=str(tmp_path), **provider)
    made = {"keys": lambda name: ring.create(name)[1], "tokens": lambda name: issuer.token(sub=name)}
    of_kind = made[getattr(request, "param", "keys")]
    headers = [{"Authorization": f"Bearer {of_kind(name)}"} for name in ("first", "second")]
    with TestClient(create_app(settings), base_url="http://localhost", raise_server_exceptions=False) as client:
        job_id = client.put("/v1/edits/mine", json=EDIT | {"subject": SUBJECT}, headers=headers[0]).json()["id"]
        batch_id = client.post("/v1/batches", json={"edits": [EDIT]}, headers=headers[0]).json()["id"]
        client.post(f"/v1/batches/{batch_id}/cancel", headers=headers[0]).raise_for_status()
        store = RedisJobStore(redis_client)
        job = store.make(moves.begin(store.get(job_id), "execution", moves.LATE))
        key = artifact_key(job_id, "execution", "source.png")
        storage.put(key, b"a picture", "image/png")
        artifact = Artifact(name="source.png", kind="image", key=key, content_type="image/png", bytes=9)
        store.make(moves.finish(job, (artifact,)))
        first, second = headers
        image = client.post("/v1/images", files={"image": PICTURE}, headers=first).json()["id"]
        inversion = _inverted(job.owner, image, redis_client)
        yield SimpleNamespace(
            client=client,
            first=first,
            second=second,
            job_id=job_id,
            batch_id=batch_id,
            key=key,
            image=image,
            inversion=inversion,
        )


def operations() -> list[tuple[str, str]]:
    """Every verb and address of the API that names something."""
    document = create_app(Settings()).openapi()
    return [(verb.upper(), address) for address, path in document["paths"].items() for verb in path if "{" in address]


@pytest.mark.parametrize(("verb", "address"), operations())
@pytest.mark.parametrize(
    ("two", "named"), [("keys", "job_id"), ("keys", "own"), ("tokens", "job_id")], indirect=["two"]
)
def test_what_is_one_keys_is_not_there_for_another(two, verb, address, named):
    """One case for each verb and address of the OpenAPI document, so that a new route cannot be forgotten.

    For another key, and for a token of another subject.
    """
    place = address.replace("{edit_id}", two.job_id if named == "job_id" else "mine").replace("{key}", two.key)
    place = place.replace("{batch_id}", two.batch_id)
    place = place.replace("{image_id}", two.image).replace("{inversion_id}", two.inversion)
    place = place.replace("{subject}", SUBJECT)
    assert "{" not in place, "this test does not know what the address names: teach it"
    body = {"json": EDIT} if verb == "PUT" else {}

    response = two.client.request(verb, place, headers=two.second, **body)

    if verb == "PUT":  # the second key's own id, and another edit
        assert response.status_code == 202
        assert response.json()["id"] != two.job_id
    elif "/subjects/" in place:  # the second key's own subject of that name, which has nothing
        assert (response.status_code, response.json()["edits"], response.json()["images"]) == (200, 0, 0)
    elif "/artifacts/" in place:  # by its URL's signature alone, which nobody but the owner was given
        assert response.status_code == 403
    else:
        of_kind = {"batches": "batch_not_found", "images": "image_not_found", "inversions": "inversion_not_found"}
        missing = of_kind.get(place.split("/")[2], "job_not_found")
        assert (response.status_code, response.json()["code"]) == (404, missing)
    assert two.client.get(f"/v1/images/{two.image}", headers=two.first).status_code == 200
    (inversion,) = two.client.get("/v1/inversions", headers=two.first).json()["inversions"]
    assert inversion["id"] == two.inversion
    assert two.client.get("/v1/inversions", headers=two.second).json() == {"inversions": []}
    assert two.client.get("/v1/images", headers=two.second).json() == {"images": [], "cursor": None}
    (image,) = two.client.get("/v1/images", headers=two.first).json()["images"]
    assert image["id"] == two.image
    assert two.client.get(f"/v1/edits/{two.job_id}", headers=two.first).json()["status"] == "succeeded"


def test_another_keys_picture_is_none_as_a_source_and_as_a_mask(two):
    named = {"upload": two.image}
    masked = {**EDIT["targets"][0], "local_blend": {"mask": named}}
    bodies = [EDIT | {"source": {**EDIT["source"], "image": named}}, EDIT | {"targets": [masked]}]

    answers = [two.client.post("/v1/edits", json=body, headers=two.second).json() for body in bodies]

    assert [(answer["errors"][0]["pointer"], answer["errors"][0]["code"]) for answer in answers] == [
        ("/source/image/upload", "image_not_found"),
        ("/targets/0/local_blend/mask/upload", "image_not_found"),
    ]


@pytest.mark.parametrize("field", ["image", "mask"])
def test_another_keys_picture_is_none_to_openais_clients_either(two, field):
    own = two.client.post("/v1/images", files={"image": PICTURE}, headers=two.second).json()["id"]
    named = {"image": own, "mask": own, field: two.image}
    body = {
        "model": "tiny",
        "source_prompt": "a cat on the beach",
        "prompt": "a dog on the beach",
        "images": [{"file_id": named["image"]}],
        "mask": {"file_id": named["mask"]},
    }

    answer = two.client.post("/v1/images/edits", json=body, headers=two.second)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (422, field, "image_not_found")
    assert two.client.post("/v1/images/edits", json=body).json()["error"]["code"] == "unauthenticated"


def test_a_list_holds_the_keys_own_edits(two):
    mine, other = (two.client.get("/v1/edits", headers=headers).json()["edits"] for headers in (two.first, two.second))
    (in_batch,) = two.client.get(f"/v1/batches/{two.batch_id}", headers=two.first).json()["edits"]

    assert ([edit["id"] for edit in mine], other) == ([in_batch["id"], two.job_id], [])


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE"])
def test_without_a_key_nothing_is_answered(two, verb):
    body = {"json": EDIT} if verb in {"POST", "PUT"} else {}
    address = "/v1/edits" if verb == "POST" else f"/v1/edits/{two.job_id}"

    response = two.client.request(verb, address, **body)

    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_the_owner_fetches_the_artifact_by_the_url_it_was_given(two):
    (artifact,) = two.client.get("/v1/edits/mine", headers=two.first).json()["artifacts"]

    assert two.client.get(httpx.URL(artifact["url"]).raw_path.decode()).content == b"a picture"
