"""A client that waits, or listens, on the real stack: it is told when something happens and not later."""

import io
import json
from collections.abc import Callable

import httpx
import pytest
from PIL import Image


@pytest.fixture
def body() -> dict:
    return {
        "model": "tiny",
        "source": {"prompt": "a cat on the beach"},
        "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
        "sampling": {"steps": 3},
    }


def events(response: httpx.Response, at_first: Callable[[], object] = lambda: None) -> list[dict]:
    """The events of a stream, read until the server ends it.

    Args:
        at_first: called once the first is there.
    """
    found: list[dict] = [{}]
    for line in response.iter_lines():
        if not line:
            found.append({})
            if len(found) == 2:
                at_first()
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[-1][name] = value
    return [event for event in found if event.get("event")]


def test_whoever_would_rather_wait_is_answered_once_the_edit_has_ended(api, body):
    response = api.post("/v1/edits", json=body, headers={"Prefer": "wait=60"})

    assert (response.status_code, response.json()["status"]) == (200, "succeeded")
    assert response.headers["Preference-Applied"] == "wait=60"
    assert response.json()["artifacts"]


def test_a_wait_that_is_too_short_is_answered_by_how_things_stand(api, body):
    address = api.post("/v1/edits", json={**body, "model": "tiny-third"}).headers["Location"]

    assert api.get(address, params={"wait": 1}).json()["status"] == "queued"


def test_waiting_for_an_edit_ends_when_it_does(api, body):
    address = api.post("/v1/edits", json=body).headers["Location"]

    assert api.get(address, params={"wait": 60}).json()["status"] == "succeeded"


def test_events_come_while_the_edit_is_made_and_the_stream_ends_with_it(api, body, until):
    # Its one worker has something to do until the stream is read.
    body["model"] = "tiny-too"
    body["sampling"]["steps"] = 400
    before = api.post("/v1/edits", json=body).headers["Location"]
    until(before, "running")
    body["sampling"]["steps"] = 40
    address = api.post("/v1/edits", json=body).headers["Location"]

    with api.stream("GET", f"{address}/events") as response:
        told = events(response, lambda: api.post(f"{before}/cancel"))

    names = [event["event"] for event in told]
    assert names[:2] == ["queued", "started"]
    assert (names[-1], json.loads(told[-1]["data"])) == ("succeeded", {"status": "succeeded"})
    assert set(names[2:-1]) == {"progress"}
    assert json.loads(told[-2]["data"]) == {"step": 40, "steps": 40}
    # what was seen is not told again
    with api.stream("GET", f"{address}/events", headers={"Last-Event-ID": told[2]["id"]}) as response:
        assert events(response) == told[3:]


def test_events_tell_of_small_pictures_while_the_edit_is_made(api, body):
    body |= {"sampling": {"steps": 60}, "artifacts": {"previews": 4}}
    address = api.post("/v1/edits", json=body).headers["Location"]

    with api.stream("GET", f"{address}/events") as response:
        told = events(response)

    names = [event["event"] for event in told]
    previews = [json.loads(event["data"]) for event in told if event["event"] == "preview"]
    # One that comes while the one before it is still being stored is left out; the first never is.
    assert [preview["step"] for preview in previews] == sorted({preview["step"] for preview in previews})
    assert previews[0]["step"] == 12
    assert {preview["step"] for preview in previews} <= {12, 24, 36, 48}
    assert names.index("started") < names.index("preview") < names.index("succeeded") == len(names) - 1
    for preview in previews:
        picture = Image.open(io.BytesIO(api.get(preview["url"]).raise_for_status().content))
        assert (picture.format, picture.size) == ("JPEG", (64, 32))  # the source and its edit
    # They are no results.
    assert {artifact["kind"] for artifact in api.get(address).json()["artifacts"]} <= {
        "image",
        "heatmap",
        "maps",
        "manifest",
    }

    assert api.delete(address).status_code == 204
    assert {api.get(preview["url"]).status_code for preview in previews} == {404}


def test_an_urgent_edit_goes_before_those_that_wait(api, body, until):
    """Nobody works "tiny-third" off, so that places are seen."""
    body["model"] = "tiny-third"
    normal = api.post("/v1/edits", json=body).headers["Location"]
    high = api.post("/v1/edits", json={**body, "priority": "high"}).headers["Location"]

    places = [api.get(address).json()["queue"]["ahead"] for address in (high, normal)]

    assert places[0] < places[1]
    for address in (high, normal):
        api.post(f"{address}/cancel")


def test_an_edit_that_nobody_begins_in_time_expires(api, body, until):
    address = api.post("/v1/edits", json={**body, "model": "tiny-third", "start_within": 1}).headers["Location"]

    assert until(address)["status"] == "expired"
