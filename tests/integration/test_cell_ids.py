"""In a cell each new id begins with the cell's name, everything is done by such ids, and older ids stay valid."""

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import redis

from jobs.model import new_job
from jobs.redis.store import RedisJobStore
from p2p.spec import EditSpec
from router.cells import cells_of
from service.api_keys import KeyRing
from stack.demo import PHOTO
from stack.processes import python
from stack.redis_server import redis_server
from stack.services import Stack, stack
from tests.older import ROOT
from tests.patience import ANSWER, PATIENCE, eventually

BARE = "[0-9a-f]{32}"
EDIT = {
    "model": "tiny",
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    "sampling": {"steps": 2},
}


@pytest.fixture(scope="module")
def cell(tiny_models, tmp_path_factory) -> Iterator[Stack]:
    settings = {"CELL": "e1", "OMP_NUM_THREADS": "1", "WEBHOOK_PRIVATE": "1"}
    with stack(tmp_path_factory.mktemp("cell"), {"tiny": 1}, models_file=tiny_models, settings=settings) as started:
        yield started


@pytest.fixture
def api(cell) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=cell.url, timeout=ANSWER) as client:
        yield client


def post(api: httpx.Client, path: str, body: dict) -> str:
    answer = api.post(path, json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def ended(api: httpx.Client, edit: str) -> dict:
    found: list[dict] = []
    assert eventually(
        lambda: found.append(api.get(f"/v1/edits/{edit}?wait=60").json()) or found[-1]["status"] != "queued"
    )
    return api.get(f"/v1/edits/{edit}?wait=60").json()


def test_an_edit_is_followed_listed_told_of_and_erased_by_its_id(api):
    edits = [post(api, "/v1/edits", EDIT | {"webhook": {"url": "http://127.0.0.1:9/"}}) for _ in range(3)]

    assert all(re.fullmatch(f"e1-{BARE}", edit) for edit in edits)
    job = ended(api, edits[0])
    assert job["status"] == "succeeded"
    assert all(f"/jobs/{edits[0]}/" in each["url"] and api.get(each["url"]).is_success for each in job["artifacts"])
    assert "event: succeeded" in api.get(f"/v1/edits/{edits[0]}/events").text
    assert eventually(lambda: api.get(f"/v1/edits/{edits[0]}/deliveries").json()["attempts"])
    assert api.post(f"/v1/edits/{edits[0]}/deliveries").status_code == 202
    page = api.get("/v1/edits", params={"limit": 1}).json()
    assert api.get("/v1/edits", params={"limit": 1, "cursor": page["cursor"]}).json()["edits"][0]["id"] in edits
    assert ended(api, edits[1])["status"] == "succeeded"
    assert api.delete(f"/v1/edits/{edits[0]}").status_code == 204
    assert api.get(f"/v1/edits/{edits[0]}").status_code == 404


def test_a_batch_has_the_cell_too(api):
    batch = post(api, "/v1/batches", {"edits": [EDIT, EDIT]})

    assert re.fullmatch(f"e1-{BARE}", batch)
    assert api.post(f"/v1/batches/{batch}/cancel").status_code in (200, 202)
    assert api.get(f"/v1/batches/{batch}").json()["id"] == batch


def test_a_picture_has_the_cell_and_so_has_its_inversion(api):
    answers = [api.post("/v1/images", files={"image": PHOTO.read_bytes()}).json() for _ in range(2)]
    images = [each["id"] for each in answers]
    assert all(re.fullmatch(f"e1-img_{BARE}", image) for image in images)
    body = {key: EDIT[key] for key in ("model", "sampling")}
    source = {"prompt": "a cat on the beach", "image": {"upload": images[0]}}
    assert ended(api, post(api, "/v1/inversions", body | {"source": source}))["status"] == "succeeded"

    (inversion,) = api.get("/v1/inversions").json()["inversions"]
    assert re.fullmatch(f"e1-{BARE}", inversion["id"])
    assert api.delete(f"/v1/inversions/{inversion['id']}").status_code == 204
    page = api.get("/v1/images", params={"limit": 1}).json()
    assert api.get("/v1/images", params={"limit": 1, "cursor": page["cursor"]}).json()["images"][0]["id"] in images
    assert api.delete(f"/v1/images/{images[0]}").status_code == 204


def test_an_edit_that_was_made_before_the_cell_had_a_name_is_there_by_its_id(cell, api):
    """Waiting, it is worked off; ended, it is listed among those with a cell."""
    sampling = {"steps": 2, "guidance_scale": 3.0, "height": 32, "width": 32}
    job = new_job(EditSpec.model_validate(EDIT | {"sampling": sampling}), lifetime=timedelta(hours=1))
    with redis.Redis.from_url(cell.redis_url, decode_responses=True) as client:
        RedisJobStore(client).create(job)

    assert re.fullmatch(BARE, job.id)
    assert ended(api, job.id)["status"] == "succeeded"
    assert job.id in {each["id"] for each in api.get("/v1/edits", params={"limit": 100}).json()["edits"]}


@pytest.mark.parametrize("name", ["E1", "1e", "e-1", "e1/", "a" * 17, "e 1"])
def test_a_name_that_no_id_can_begin_with_ends_the_process(name):
    done = subprocess.run(
        python("-m", "service"), env={**os.environ, "CELL": name}, capture_output=True, text=True, timeout=PATIENCE
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("CELL: ")


@pytest.fixture
def two_redis(tmp_path) -> Iterator[tuple[str, str]]:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with redis_server(tmp_path / "one") as one, redis_server(tmp_path / "two") as two:
        yield one, two


def admin(redis_url: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess:
    environment = {**os.environ, "REDIS_URL": redis_url}
    command = python("-m", "admin", "keys", *arguments)
    return subprocess.run(command, env=environment, input=given, capture_output=True, text=True, timeout=PATIENCE)


def ring(redis_url: str) -> KeyRing:
    return KeyRing(redis.Redis.from_url(redis_url, decode_responses=True))


def test_keys_are_the_same_in_another_cell_and_no_secret_moves(two_redis):
    one, two = two_redis
    token = admin(one, "create", "shop", "--active", "7").stdout.strip()
    admin(one, "create", "other")
    exported = admin(one, "export").stdout

    assert admin(two, "import", given=exported).stdout == "2 keys are here as they are there\n"
    assert ring(two).all() == ring(one).all()
    assert token.rpartition("_")[2] not in exported
    key_id = token.split("_")[1]
    admin(one, "revoke", key_id)
    admin(two, "import", given=admin(one, "export", key_id).stdout)
    assert ring(two).all()[key_id].revoked_at is not None


def test_what_is_no_key_or_another_one_of_the_same_id_is_not_imported(two_redis):
    one, two = two_redis
    admin(one, "create", "shop")
    exported = admin(one, "export").stdout
    admin(two, "import", given=exported)
    forged = json.dumps(json.loads(exported) | {"digest": "0" * 64})

    for given, reason in ((forged, "another key"), ("p2p_x", "not what `keys export` prints"), ("[]", "not what")):
        done = admin(two, "import", given=given)
        assert done.returncode == 1
        assert reason in done.stderr
    assert ring(two).all() == ring(one).all()
    assert admin(one, "export", "0" * 12).returncode == 1


def shown(language: str) -> list[str]:
    """The blocks of docs/cells.md in a language."""
    text = (ROOT / "docs" / "cells.md").read_text(encoding="utf-8")
    return [textwrap.dedent(block) for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)]


def test_the_commands_that_move_keys_are_those_of_the_document(two_redis, tmp_path):
    one, two = two_redis
    admin(one, "create", "shop")
    moving, routing = shown("sh")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line, redis_url in zip(moving.strip().splitlines(), (one, two), strict=True):
        environment = {**os.environ, "PATH": path, "REDIS_URL": redis_url, "KEPT": str(tmp_path)}
        shell = line.replace("keys.jsonl", '"$KEPT"/keys.jsonl')
        subprocess.run(["bash", "-ec", shell], cwd=ROOT, env=environment, check=True, timeout=PATIENCE)

    assert ring(two).all() == ring(one).all() != {}
    settings = dict(word.partition("=")[::2] for word in shlex.split(routing) if "=" in word)
    assert list(cells_of(settings["CELLS"])) == ["e1", "e2"]


def test_the_figure_of_the_document_is_of_namespaces_and_nothing_is_lost():
    (figure,) = map(json.loads, shown("json"))

    assert figure["namespaces"]
    assert figure["accepted"] == figure["ended"] == figure["succeeded"] > 0
    assert figure["lost"] == figure["published_twice"] == figure["told_twice"] == 0
