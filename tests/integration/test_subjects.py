"""All that was made for a subject can be found, and erased: then nothing names it, and nothing of it is stored."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace

import pytest
import redis
from PIL import Image
from starlette.testclient import TestClient

from jobs import moves
from jobs.inversions import inversion_key
from jobs.model import Artifact, artifact_key
from jobs.redis.sources import RedisKeptSources
from jobs.redis.store import RedisJobStore
from jobs.storage import open_storage
from service.api_keys import KeyRing
from service.app import create_app
from service.settings import Settings
from service.subjects import erasing
from tests.kept_inversions import kept_inversion

EDIT = {
    "source": {"prompt": "a cat"},
    "targets": [{"prompt": "a dog", "edits": [{"kind": "replace"}]}],
    "sampling": {"seed": 0},
}


@pytest.fixture
def api(redis_url, redis_client, tiny_models, tmp_path) -> Iterator[SimpleNamespace]:
    """An API with two keys, over a real Redis and a directory."""
    ring = KeyRing(redis_client)
    storage_url = tmp_path / "artifacts"
    audit = tmp_path / "audit.log"
    settings = Settings(redis_url=redis_url, models_file=tiny_models, storage_url=str(storage_url), audit_log=audit)
    mine, other = ({"Authorization": f"Bearer {ring.create(name)[1]}"} for name in ("first", "second"))
    with TestClient(create_app(settings), base_url="http://localhost", headers=mine) as client:
        yield SimpleNamespace(
            client=client,
            other=other,
            store=RedisJobStore(redis_client),
            redis=redis_client,
            storage=open_storage(str(storage_url)),
            files=storage_url,
            audit=audit,
            # Redis holds what other tests left, too.
            subject=f"user-{token_hex(4)}",
        )


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 20)).save(file, "PNG")
    return file.getvalue()


def posted(api: SimpleNamespace, **more: object) -> str:
    response = api.client.post("/v1/edits", json={**EDIT, **more})
    assert response.status_code == 202, response.text
    return response.json()["id"]


def begun(api: SimpleNamespace, job_id: str):
    return api.store.make(moves.begin(api.store.get(job_id), "execution", moves.LATE, beside=True))


def succeeded(api: SimpleNamespace, job_id: str) -> None:
    """With an artifact in the storage."""
    key = artifact_key(job_id, "execution", "source.png")
    job = begun(api, job_id)
    api.storage.put(key, picture(), "image/png")
    artifact = Artifact(name="source.png", kind="image", key=key, content_type="image/png", bytes=9)
    api.store.make(moves.finish(job, (artifact,)))


def inverted(api: SimpleNamespace, image: str, job_id: str) -> str:
    """An inversion that an edit has left of a picture."""
    job = api.store.get(job_id)
    inversion = kept_inversion("0" * 32, image, owner=job.owner).model_copy(update={"labels": job.labels})
    assert RedisKeptSources(api.redis).keep(inversion)
    api.storage.put(inversion_key(inversion.id), b"latents", "application/octet-stream")
    return inversion.id


def sent(api: SimpleNamespace, **form: str) -> str:
    response = api.client.post("/v1/images", files={"image": picture()}, data=form)
    assert response.status_code == 201, response.text
    return response.json()["id"]


def stored(folder: Path) -> set[str]:
    """Files of things, without what health checks leave."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.parent != folder}


def named_in(client: redis.Redis, *texts: str) -> list[str]:
    """Every key whose name or value holds one of the texts, whatever its type."""
    read = {
        "string": lambda key: client.get(key),
        "hash": lambda key: client.hgetall(key),
        "zset": lambda key: client.zrange(key, 0, -1),
        "set": lambda key: client.smembers(key),
        "list": lambda key: client.lrange(key, 0, -1),
        "stream": lambda key: client.xrange(key),
    }
    found = ((key, f"{key} {read[client.type(key)](key)}") for key in client.scan_iter())
    return [key for key, text in found if any(each in text for each in texts)]


def test_nothing_of_an_erased_subject_is_left(api):
    succeeded(api, first := posted(api, subject=api.subject, metadata={"order": api.subject[::-1]}))
    waiting = posted(api, subject=api.subject)
    batch = api.client.post("/v1/batches", json={"edits": [EDIT, EDIT], "subject": api.subject}).json()
    image, shared = sent(api, subject=api.subject, metadata=json.dumps({"album": api.subject[::-1]})), sent(api)
    inverted(api, shared, first)
    others = [posted(api, subject=f"{api.subject}2"), posted(api)]

    receipt = api.client.delete(f"/v1/subjects/{api.subject}")

    counts = {name: receipt.json()[name] for name in ("edits", "batches", "images", "inversions", "remaining")}
    assert receipt.status_code == 200
    assert counts == {"edits": 4, "batches": 1, "images": 1, "inversions": 1, "remaining": 0}
    assert api.subject not in receipt.text
    assert json.loads(api.audit.read_text().splitlines()[-1])["receipt"] == receipt.json()
    assert [
        key for key in named_in(api.redis, api.subject, api.subject[::-1]) if not key.endswith(f"{api.subject}2")
    ] == [f"job:{others[0]}"]
    # Ids of what is over: what the reaper will find removed already, and ends that the outbox has not read.
    gone = (first, waiting, image, batch["id"])
    assert set(named_in(api.redis, *gone)) <= {"litter", "outbox"}
    assert stored(api.files) == {f"images/{shared}/image.png"}
    assert all(api.client.get(f"/v1/edits/{each}").status_code == 200 for each in others)
    assert api.client.get(f"/v1/batches/{batch['id']}").status_code == 404
    assert [api.client.get(f"/v1/images/{each}").status_code for each in (image, shared)] == [404, 200]


def test_what_is_made_of_a_subjects_photo_is_the_subjects(api):
    """It shows the same. An inversion made ahead takes no subject, and its record holds what is on the photo."""
    image = sent(api, subject=api.subject, metadata='{"album": "7"}')
    photo = {"prompt": f"{api.subject} in the snow", "image": {"upload": image}}
    edit = {"source": photo, "targets": [{"prompt": f"{api.subject} in the rain", "edits": []}]}
    ahead = api.client.post("/v1/inversions", json={"source": photo})
    alone = api.client.post("/v1/edits", json={**edit, "metadata": {"order": "1"}})
    other = api.client.post("/v1/edits", json={**edit, "subject": f"{api.subject[::-1]}"})
    batch = api.client.post("/v1/batches", json={"edits": [edit]})
    assert [each.status_code for each in (ahead, alone, other, batch)] == [202] * 4
    labels = [(each.json()["subject"], each.json()["metadata"]) for each in (ahead, alone, other)]
    assert labels == [(api.subject, {}), (api.subject, {"order": "1"}), (api.subject[::-1], {})]

    receipt = api.client.delete(f"/v1/subjects/{api.subject}").json()

    assert (receipt["edits"], receipt["images"]) == (3, 1)
    assert set(named_in(api.redis, f"{api.subject} in the")) == {f"job:{other.json()['id']}"}


def test_what_a_request_for_a_subject_was_called_goes_with_it(api):
    """A client may well call its requests by its subjects: an id of its own, or a key that has the subject in it."""
    name, body = f"{api.subject}-1", {**EDIT, "subject": api.subject}
    own = api.client.put(f"/v1/edits/{name}", json=body)
    posted = api.client.post("/v1/edits", json=body, headers={"Idempotency-Key": name})
    batch = {"edits": [EDIT], "subject": api.subject}
    together = api.client.post("/v1/batches", json=batch, headers={"Idempotency-Key": f"{name} all"})
    # Nobody's as a whole: it stays, and so does its name.
    mixed = {"edits": [body, EDIT]}
    theirs = api.client.post("/v1/batches", json=mixed, headers={"Idempotency-Key": f"{name[::-1]}"})
    assert [each.status_code for each in (own, posted, together, theirs)] == [202] * 4

    api.client.delete(f"/v1/subjects/{api.subject}").raise_for_status()

    assert named_in(api.redis, api.subject) == []
    assert api.client.get(f"/v1/edits/{name}").status_code == 404
    again = api.client.post("/v1/batches", json=mixed, headers={"Idempotency-Key": f"{name[::-1]}"})
    assert again.json()["id"] == theirs.json()["id"]


def test_an_edit_that_runs_is_stopped_and_erased_when_it_is_asked_for_again(api, monkeypatch):
    monkeypatch.setattr(erasing, "PATIENCE", 0.0)
    job = begun(api, posted(api, subject=api.subject))

    first = api.client.delete(f"/v1/subjects/{api.subject}")
    assert (first.status_code, first.json()["remaining"], first.json()["edits"]) == (202, 1, 0)
    assert api.store.watch(job.id).cancel_requested
    api.store.make(moves.stop(api.store.get(job.id)))

    second = api.client.delete(f"/v1/subjects/{api.subject}")
    assert (second.status_code, second.json()["remaining"], second.json()["edits"]) == (200, 0, 1)
    assert named_in(api.redis, api.subject) == []


def test_what_is_erased_by_itself_leaves_the_index(api):
    succeeded(api, edit := posted(api, subject=api.subject))
    image = sent(api, subject=api.subject)

    for address in (f"/v1/edits/{edit}", f"/v1/images/{image}"):
        assert api.client.delete(address).status_code == 204

    assert named_in(api.redis, api.subject) == []


def test_a_subject_of_another_key_is_another_one(api):
    edit = posted(api, subject=api.subject)

    receipt = api.client.delete(f"/v1/subjects/{api.subject}", headers=api.other)

    assert (receipt.status_code, receipt.json()["edits"]) == (200, 0)
    assert api.client.get(f"/v1/edits/{edit}").json()["status"] == "queued"


def test_edits_and_pictures_are_found_by_subject_and_metadata(api):
    red = posted(api, subject=api.subject, metadata={"team": "red", "run": "1"})
    posted(api, metadata={"team": "red=1", "run": "2"})
    image = sent(api, subject=api.subject, metadata='{"team": "red"}')
    sent(api)

    def found(of: str, **query: object) -> list[str]:
        return [each["id"] for each in api.client.get(f"/v1/{of}", params=query).json()[of]]

    assert found("edits", subject=api.subject) == found("edits", metadata=["team=red"]) == [red]
    assert found("edits", metadata=["team=red", "run=2"]) == []
    assert found("images", metadata="team=red") == found("images", subject=api.subject) == [image]
    assert len(found("edits")) == 2
    answer = api.client.get(f"/v1/edits/{red}").json()
    assert (answer["subject"], answer["metadata"]) == (api.subject, {"team": "red", "run": "1"})


def test_the_edits_of_a_batch_are_found_by_what_the_batch_says(api):
    own = {**EDIT, "metadata": {"team": "blue", "run": "1"}}
    batch = {"edits": [EDIT, own], "subject": api.subject, "metadata": {"team": "red", "order": "7"}}
    first, second = (each["id"] for each in api.client.post("/v1/batches", json=batch).json()["edits"])

    def found(*metadata: str) -> set[str]:
        listed = api.client.get("/v1/edits", params={"subject": api.subject, "metadata": metadata}).json()
        return {each["id"] for each in listed["edits"]}

    assert found("order=7") == {first, second}
    assert (found("team=red"), found("team=blue", "order=7")) == ({first}, {second})


@pytest.mark.parametrize("of", ["edits", "images"])
def test_a_list_of_what_has_two_texts_under_one_name_is_refused(api, of):
    """The last one would count else, and the list would hold what the first one leaves out."""
    response = api.client.get(f"/v1/{of}", params={"metadata": ["team=red", "team=blue"]})

    (error,) = response.json()["errors"]
    assert (response.status_code, error["pointer"], error["code"]) == (422, "/metadata", "metadata_conflict")
    assert api.client.get(f"/v1/{of}", params={"metadata": ["team=red", "team=red"]}).status_code == 200


@pytest.mark.parametrize("address", ["/v1/edits", "/v1/images", "/v1/edits/any", "/v1/batches/any"])
def test_what_a_query_may_say_once_comes_once(api, address):
    """Of two subjects the last one counted: a list of one subject's held another's."""
    name = "subject" if address in ("/v1/edits", "/v1/images") else "wait"
    response = api.client.get(address, params={name: ["1", "2"]})

    (error,) = response.json()["errors"]
    assert (response.status_code, error["pointer"], error["code"]) == (422, f"/{name}", "parameter_repeated")


@pytest.mark.parametrize("of", ["edits", "images"])
def test_a_filter_that_is_misspelt_is_refused(api, of):
    """The list held everybody's. What is the router's is none of ours."""
    response = api.client.get(f"/v1/{of}", params={"subjct": "user-1", "cell": "e1", "limit": "2"})

    (error,) = response.json()["errors"]
    assert (response.status_code, error["pointer"], error["code"]) == (422, "/subjct", "unknown_parameter")
    assert api.client.get(f"/v1/{of}", params={"cell": "e1"}).status_code == 200


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"subject": "../.."}, "/subject"),
        ({"subject": "Jane Doe"}, "/subject"),
        ({"metadata": {f"n{i}": "" for i in range(17)}}, "/metadata"),
        ({"metadata": {"team": "x" * 513}}, "/metadata/team"),
        ({"metadata": {"a team": "x"}}, "/metadata/a team"),
        ({"metadata": "team=x"}, "/metadata"),
    ],
)
def test_labels_that_are_not_taken_are_pointed_at(api, more, pointer):
    response = api.client.post("/v1/edits", json={**EDIT, **more})

    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["pointer"] == pointer
    # What it takes, in words: a pattern is no help.
    assert error["detail"].startswith("takes ") or error["detail"] == "must be a JSON object"


def test_the_same_name_with_other_labels_is_another_request(api):
    named = {"Idempotency-Key": "one"}
    first = api.client.post("/v1/edits", json={**EDIT, "subject": api.subject}, headers=named)

    again = api.client.post("/v1/edits", json={**EDIT, "subject": api.subject}, headers=named)
    other = api.client.post("/v1/edits", json=EDIT, headers=named)

    assert again.json()["id"] == first.json()["id"]
    assert other.json()["code"] == "idempotency_key_reused"


def test_a_receipt_waits_for_replicas(api, redis_url, tiny_models, tmp_path):
    """Also where nothing is left: an earlier request may have erased it, and here there is no replica at all."""
    settings = Settings(
        redis_url=redis_url, models_file=tiny_models, storage_url=str(tmp_path / "artifacts"), redis_replicas=1
    )
    with TestClient(create_app(settings), base_url="http://localhost", headers=api.client.headers) as client:
        answer = client.delete(f"/v1/subjects/{api.subject}")

    assert (answer.status_code, answer.json()["code"]) == (503, "not_replicated")
