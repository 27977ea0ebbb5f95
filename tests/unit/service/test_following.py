"""Submitting and following: names, preferences, tags, pages, places and events."""

import json
from datetime import timedelta

import pytest

from jobs import moves
from jobs.model import JobError, JobProgress, JobStatus, artifact_key
from service.http.preferences import seconds_to_wait


@pytest.fixture
def posted(client, edit):
    """Posts the edit; gives its id."""

    def post(**headers: str) -> str:
        response = client.post("/v1/edits", json=edit, headers=headers)
        assert response.status_code == 202
        return response.json()["id"]

    return post


def begun(parts, job_id: str):
    return parts.store.make(moves.begin(parts.store.get(job_id), "execution", timedelta(minutes=1)))


def finished(parts, job_id: str) -> None:
    parts.store.make(moves.finish(begun(parts, job_id), ()))


def test_the_same_key_and_body_are_the_same_edit(client, edit, posted):
    first = posted(**{"Idempotency-Key": "order-1"})

    again = client.post("/v1/edits", json=edit, headers={"Idempotency-Key": "order-1"})

    assert (again.status_code, again.json()["id"]) == (202, first)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert posted() != first


def test_the_same_key_with_another_body_is_refused(client, edit, posted):
    posted(**{"Idempotency-Key": "order-1"})
    edit["sampling"] = {"seed": 5}

    response = client.post("/v1/edits", json=edit, headers={"Idempotency-Key": "order-1"})

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


def test_a_trace_is_no_part_of_what_is_asked_for(client, edit, posted):
    first = posted(**{"Idempotency-Key": "order-1"})

    assert posted(**{"Idempotency-Key": "order-1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}) == first


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_cannot_be_one_is_refused(client, edit, key):
    response = client.post("/v1/edits", json=edit, headers={"Idempotency-Key": key})

    assert response.status_code == 422


def test_an_edit_that_is_put_is_there_by_its_id_and_once(client, edit):
    first = client.put("/v1/edits/order-1", json=edit)
    again = client.put("/v1/edits/order-1", json=edit)

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"] == client.get("/v1/edits/order-1").json()["id"]
    assert first.headers["Location"] == f"/v1/edits/{first.json()['id']}"


def test_another_edit_cannot_be_put_in_its_place(client, edit):
    client.put("/v1/edits/order-1", json=edit)
    edit["priority"] = "high"

    assert client.put("/v1/edits/order-1", json=edit).json()["code"] == "idempotency_key_reused"


def test_the_id_of_an_edit_that_is_there_is_not_given_to_another(client, edit, posted):
    response = client.put(f"/v1/edits/{posted()}", json=edit)

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("edit_id", ["a b", "ä", "x" * 65, "a.b"])
def test_an_id_that_cannot_be_one_is_refused(client, edit, edit_id):
    response = client.put(f"/v1/edits/{edit_id}", json=edit)

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("prefer", "seconds", "applied"),
    [
        ("", 0, None),
        ("wait=5", 5, "wait=5"),
        ("wait=5, handling=lenient", 5, "wait=5"),
        ("wait=9999", 60, "wait=60"),
        ("respond-async, wait=5", 5, "respond-async, wait=5"),
        ("wait=5; respond-async", 5, "respond-async, wait=5"),
        ("wait=5, wait=9", 5, "wait=5"),
        ("respond-async", 0, "respond-async"),
        ("wait=soon", 0, None),
        ("return=minimal", 0, None),
    ],
)
def test_what_a_client_would_rather_have(prefer, seconds, applied):
    assert seconds_to_wait(prefer) == (seconds, applied)


def test_an_edit_that_has_ended_is_answered_whole_to_who_would_rather_wait(client, edit, parts, posted):
    headers = {"Idempotency-Key": "order-1"}
    finished(parts, posted(**headers))

    response = client.post("/v1/edits", json=edit, headers={**headers, "Prefer": "wait=1"})

    assert (response.status_code, response.json()["status"]) == (200, "succeeded")
    assert response.headers["Preference-Applied"] == "wait=1"


def test_an_edit_that_has_not_ended_in_time_is_accepted_as_it_was(client, edit):
    response = client.post("/v1/edits", json=edit, headers={"Prefer": "respond-async, wait=1"})

    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert response.headers["Preference-Applied"] == "respond-async, wait=1"


def test_an_answer_that_is_known_is_not_given_again(client, parts, posted):
    job_id = posted()
    tag = client.get(f"/v1/edits/{job_id}").headers["ETag"]

    unchanged = client.get(f"/v1/edits/{job_id}", headers={"If-None-Match": tag})
    begun(parts, job_id)
    changed = client.get(f"/v1/edits/{job_id}", headers={"If-None-Match": tag})

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (changed.status_code, changed.json()["status"]) == (200, "running")


def test_edits_are_listed_the_newest_first_page_by_page(client, parts, posted):
    ids = {posted() for _ in range(5)}
    # Several may fall into one millisecond, which is all that a place says: these are in the order of their ids.
    places = sorted((int(job.created_at.timestamp() * 1000), job.id) for job in parts.store.all() if job.id in ids)
    seen, cursor = [], None
    for _ in range(3):
        page = client.get("/v1/edits", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [edit["id"] for edit in page["edits"]]
        cursor = page["cursor"]

    assert (seen, cursor) == ([job_id for _, job_id in reversed(places)], None)


def test_edits_are_listed_by_their_state(client, parts, posted):
    ids = [posted() for _ in range(4)]
    finished(parts, ids[1])

    page = client.get("/v1/edits", params={"status": "succeeded"}).json()

    assert [edit["id"] for edit in page["edits"]] == [ids[1]]


@pytest.mark.parametrize("cursor", ["x", "!!!", "AAAA", "MTIz", "4pyT"])
def test_a_cursor_that_was_not_given_is_refused(client, cursor):
    response = client.get("/v1/edits", params={"cursor": cursor})

    assert (response.status_code, response.json()["code"]) == (422, "invalid_cursor")


def test_a_waiting_edit_says_how_many_go_before_it(client, edit, posted):
    first, second = posted(), posted()
    edit["priority"] = "high"
    urgent = client.post("/v1/edits", json=edit).json()["id"]

    ahead = [client.get(f"/v1/edits/{each}").json()["queue"]["ahead"] for each in (urgent, first, second)]

    assert ahead == [0, 1, 2]


def events(response) -> list[tuple[str, str, dict]]:
    blocks = [block.splitlines() for block in response.text.strip().split("\n\n")]
    fields = [dict(line.split(": ", 1) for line in block if not line.startswith(":")) for block in blocks]
    return [(each["id"], each["event"], json.loads(each["data"])) for each in fields if "event" in each]


def test_an_edits_events_are_told_from_the_first_to_its_end(client, parts, posted):
    job_id = posted()
    running = begun(parts, job_id)
    parts.store.make(moves.report(running, JobProgress(step=1, steps=3)))
    parts.store.make(moves.finish(running, ()))

    response = client.get(f"/v1/edits/{job_id}/events")

    assert response.headers["content-type"].startswith("text/event-stream")
    assert [(name, data) for _, name, data in events(response)] == [
        ("queued", {"status": "queued"}),
        ("started", {"status": "running"}),
        ("progress", {"step": 1, "steps": 3}),
        ("succeeded", {"status": "succeeded"}),
    ]


def shown(parts, running, step: int) -> str:
    key = artifact_key(running.id, running.execution, f"previews/{step:04}.jpg")
    parts.storage.put(key, b"a preview", "image/jpeg")
    parts.store.make(moves.show(running, step, 3, key))
    return key


def test_a_preview_is_told_with_its_url(client, parts, posted):
    running = begun(parts, posted())
    shown(parts, running, 1)
    parts.store.make(moves.finish(running, ()))

    _, _, (_, name, preview), _ = events(client.get(f"/v1/edits/{running.id}/events"))

    assert (name, preview.keys(), preview["step"], preview["steps"]) == ("preview", {"step", "steps", "url"}, 1, 3)
    response = client.get(preview["url"])
    assert (response.content, response.headers["content-type"]) == (b"a preview", "image/jpeg")


@pytest.mark.parametrize(
    "goes",
    [
        lambda job: moves.fail(job, JobError(code="moderated", message="no")),
        moves.stop,
        moves.hand_back,
    ],
)
def test_previews_that_are_gone_are_not_told_of_again(client, parts, posted, goes):
    running = begun(parts, posted())
    shown(parts, running, 1)
    parts.store.make(goes(running))
    if (job := parts.store.get(running.id)).status is JobStatus.QUEUED:
        again = parts.store.make(moves.begin(job, "another", timedelta(minutes=1)))
        kept = shown(parts, again, 2)
        parts.store.make(moves.finish(again, ()))

    told = [data for _, name, data in events(client.get(f"/v1/edits/{running.id}/events")) if name == "preview"]

    assert [data["step"] for data in told] == ([2] if job.status is JobStatus.QUEUED else [])
    assert all(kept in data["url"] for data in told)


def test_whoever_comes_back_misses_nothing(client, parts, posted):
    job_id = posted()
    finished(parts, job_id)
    seen = events(client.get(f"/v1/edits/{job_id}/events"))

    rest = events(client.get(f"/v1/edits/{job_id}/events", headers={"Last-Event-ID": seen[0][0]}))

    assert rest == seen[1:]


def test_who_has_seen_the_end_is_told_nothing_more(client, parts, posted):
    job_id = posted()
    finished(parts, job_id)
    seen = events(client.get(f"/v1/edits/{job_id}/events"))

    assert events(client.get(f"/v1/edits/{job_id}/events", headers={"Last-Event-ID": seen[-1][0]})) == []


def test_the_events_of_no_edit_are_a_problem_and_no_stream(client):
    response = client.get("/v1/edits/nobody/events")

    assert (response.status_code, response.json()["code"]) == (404, "job_not_found")
