"""How an edit stands: who is shown it, and what a client has already."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs import moves
from jobs.model import Artifact, JobError, JobProgress
from service.api_keys import Caller
from service.http.errors import Unauthenticated

PICTURE = Artifact(
    name="source.png", kind="image", key="jobs/1/e1/source.png", content_type="image/png", bytes=3, picture=0
)


def queued(parts, job):
    return job


def running(parts, job):
    begun = parts.store.make(moves.begin(job, "e1", timedelta(seconds=10)))
    return parts.store.make(moves.report(begun, JobProgress(step=1, steps=3)))


def canceled(parts, job):
    return parts.store.make(moves.cancel(job))


def succeeded(parts, job):
    return parts.store.make(moves.finish(running(parts, job), (PICTURE,)))


def failed(parts, job):
    return parts.store.make(moves.fail(running(parts, job), JobError(code="x", message="ä")))


@pytest.fixture
def in_state(client, edit, parts):
    """Posts an edit, brings it into a state and gives its address."""

    def brought(state) -> str:
        address = client.post("/v1/edits", json=edit).headers["Location"]
        state(parts, parts.store.get(address.rpartition("/")[2]))
        return address

    return brought


@pytest.mark.parametrize("state", [queued, running, canceled, succeeded, failed])
def test_an_edit_is_answered_under_a_tag_that_is_known_again(client, in_state, state):
    address = in_state(state)

    whole = client.get(address)
    known = client.get(address, headers={"If-None-Match": whole.headers["ETag"]})

    assert (whole.status_code, whole.headers["Content-Type"]) == (200, "application/json")
    assert whole.json()["status"] == state.__name__
    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", whole.headers["ETag"])


@pytest.mark.parametrize("state", [canceled, succeeded, failed])
def test_who_waits_for_what_has_ended_gets_the_same_answer(client, in_state, state):
    address = in_state(state)

    at_once, waited = client.get(address), client.get(address, params={"wait": 60})

    assert (at_once.content, at_once.headers) == (waited.content, waited.headers)


def test_a_place_that_has_changed_is_something_new(client, edit, in_state):
    address = in_state(queued)
    tag = client.get(address).headers["ETag"]
    client.post("/v1/edits", json={**edit, "priority": "high"})

    response = client.get(address, headers={"If-None-Match": tag})

    assert (response.status_code, response.json()["queue"]["ahead"]) == (200, 1)


@pytest.mark.parametrize("edit_id", ["0" * 32, "nobody"])
def test_what_is_not_there_is_not_found(client, edit_id):
    response = client.get(f"/v1/edits/{edit_id}")

    assert (response.status_code, response.json()["code"]) == (404, "job_not_found")


def test_an_id_of_ones_own_may_look_like_one_of_ours(client, edit):
    edit_id = "0123456789abcdef" * 2

    posted = client.put(f"/v1/edits/{edit_id}", json=edit).json()

    assert client.get(f"/v1/edits/{edit_id}").json()["id"] == posted["id"]


class TwoKeys:
    """`Callers` who are told apart by what they say."""

    async def of(self, authorization: str) -> Caller:
        if not authorization:
            raise Unauthenticated
        return Caller(owner=authorization)


def test_only_its_owner_is_shown_an_edit(parts, serve, edit):
    parts.plane = replace(parts.plane, callers=TwoKeys())
    client = serve()
    address = client.post("/v1/edits", json=edit, headers={"Authorization": "one"}).headers["Location"]

    answers = [client.get(address, headers=headers) for headers in ({"Authorization": "other"}, {})]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [
        (404, "job_not_found"),
        (401, "unauthenticated"),
    ]
