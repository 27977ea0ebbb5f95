"""How long an edit is kept, and that one which is not to be stored is handed out once."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest

from jobs import moves
from jobs.errors import ArtifactNotFound
from jobs.model import Artifact, artifact_key
from jobs.versions import UNSTORED


@pytest.fixture
def posted(client, edit):
    def post(**more: object):
        return client.post("/v1/edits", json={**edit, **more})

    return post


def kept(edit: dict) -> timedelta:
    """From when it was made to when it goes, had it to wait as long as it may: two hours here."""
    return datetime.fromisoformat(edit["expires_at"]) - datetime.fromisoformat(edit["created_at"]) - timedelta(hours=2)


def test_an_edit_is_kept_for_as_long_as_it_asks(posted):
    assert kept(posted().json()) == timedelta(hours=1)
    assert kept(posted(keep_for=600).json()) == timedelta(minutes=10)


def test_longer_than_the_installation_allows_is_refused(posted, parts, serve, edit):
    refused = posted(keep_for=3601).json()
    assert [(each["pointer"], each["code"]) for each in refused["errors"]] == [("/keep_for", "kept_too_long")]

    parts.plane = replace(parts.plane, most_lifetime=timedelta(hours=5))
    assert kept(serve().post("/v1/edits", json={**edit, "keep_for": 3601}).json()) == timedelta(seconds=3601)


def test_what_is_not_stored_is_kept_for_minutes_and_waits_for_a_worker_that_knows_it(posted, parts):
    edit = posted(store=False).json()

    assert kept(edit) == timedelta(minutes=10)
    job = parts.store.get(edit["id"])
    assert (job.store, job.schema_version) == (False, UNSTORED)


def ended(parts, edit_id: str) -> str:
    """An edit that has succeeded; gives the key of its picture."""
    key = artifact_key(edit_id, "execution", "source.png")
    job = parts.store.make(moves.begin(parts.store.get(edit_id), "execution", moves.LATE))
    parts.storage.put(key, b"a picture", "image/png")
    artifact = Artifact(name="source.png", kind="image", key=key, content_type="image/png", bytes=9)
    parts.store.make(moves.finish(job, (artifact,)))
    return key


@pytest.mark.parametrize("store", [True, False])
def test_an_artifact_of_what_is_not_stored_is_there_once(client, parts, posted, store):
    edit_id = posted(store=store).json()["id"]
    key = ended(parts, edit_id)
    (artifact,) = client.get(f"/v1/edits/{edit_id}").json()["artifacts"]
    url = urlsplit(artifact["url"])
    address = f"{url.path}?{url.query}"

    assert client.head(address).status_code == 200
    first, second = client.get(address), client.get(address)

    assert (first.status_code, first.content) == (200, b"a picture")
    assert second.status_code == (200 if store else 410)
    assert ("no-store" in first.headers["Cache-Control"]) != store
    if not store:
        # To fetch the edit again would give another URL of what is gone.
        assert (second.json()["code"], "fetch the edit" in second.json()["detail"]) == ("handed_out", False)
        with pytest.raises(ArtifactNotFound):
            parts.storage.read(key)
        # The same URL without that is another one, which nobody was given.
        assert client.get(address.removesuffix("&once=true")).status_code == 403


@pytest.mark.parametrize(("store", "code"), [(True, "artifact_not_found"), (False, "handed_out")])
def test_an_artifact_that_goes_between_two_looks_is_answered(client, parts, posted, monkeypatch, store, code):
    """Several clients fetch at once what is there once. The connection of the later ones was closed without a word."""
    edit_id = posted(store=store).json()["id"]
    key = ended(parts, edit_id)
    (artifact,) = client.get(f"/v1/edits/{edit_id}").json()["artifacts"]
    opened = parts.storage.opened

    async def opened_too_late(wanted):
        found = await opened(wanted)
        parts.storage.remove(key)
        return found

    monkeypatch.setattr(parts.storage, "opened", opened_too_late)

    assert client.get(artifact["url"]).json()["code"] == code


def test_a_preview_of_what_is_not_stored_is_handed_out_once_too(client, parts, posted):
    edit_id = posted(store=False, artifacts={"previews": 1}).json()["id"]
    job = parts.store.make(moves.begin(parts.store.get(edit_id), "execution", moves.LATE))
    key = artifact_key(edit_id, "execution", "previews/0001.jpg")
    parts.storage.put(key, b"small", "image/jpeg")
    parts.store.make(moves.show(job, 1, 2, key))
    parts.store.make(moves.finish(job, ()))

    (url,) = re.findall(r'"url":"([^"]+)"', client.get(f"/v1/edits/{edit_id}/events").text)

    assert [client.get(url).status_code for _ in range(2)] == [200, 410]


def test_where_no_other_process_takes_its_urls_an_edit_must_be_stored(posted, parts, serve, edit):
    parts.plane = replace(parts.plane, signs_everywhere=False)

    refused = serve().post("/v1/edits", json={**edit, "store": False}).json()

    assert [(each["pointer"], each["code"]) for each in refused["errors"]] == [("/store", "unstored_not_offered")]


def test_what_is_not_stored_keeps_no_source_either(posted):
    refused = posted(store=False, artifacts={"trajectory": True}).json()

    assert [(each["pointer"], each["code"]) for each in refused["errors"]] == [
        ("/artifacts/trajectory", "trajectory_unstored")
    ]
