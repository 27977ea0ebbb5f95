"""Submitting, fetching and canceling edits."""

from datetime import timedelta

import pytest

from jobs import moves
from jobs.errors import ArtifactNotFound, JobNotFound
from jobs.model import Artifact, Job, JobError, JobStatus
from process.trace import Trace


def posted(client, edit: dict) -> str:
    response = client.post("/v1/edits", json=edit)
    assert response.status_code == 202, response.text
    return response.json()["id"]


def test_an_accepted_edit_is_answered_with_its_address(client, edit):
    response = client.post("/v1/edits", json=edit)

    body = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == body["links"]["self"] == f"/v1/edits/{body['id']}"
    assert body["status"] == "queued"
    assert client.get(body["links"]["self"]).json()["status"] == "queued"


def test_an_accepted_edit_is_recorded(client, edit, parts):
    job_id = posted(client, edit)

    job = parts.store.get(job_id)
    assert (job.schema_version, job.owner, job.status, job.attempt) == (1, "anonymous", JobStatus.QUEUED, 0)
    assert job.start_by - job.created_at == parts.plane.queue_limit
    assert job.expires_at - job.start_by == parts.plane.job_lifetime


def test_the_record_says_everything_that_decides_the_result(client, edit, parts):
    sampling = parts.store.get(posted(client, edit)).spec.sampling

    assert (sampling.steps, sampling.guidance_scale, sampling.height, sampling.width) == (3, 3.0, 32, 32)


def test_what_was_asked_for_wins_over_the_models_defaults(client, edit, parts):
    edit["sampling"] = {"steps": 5, "guidance_scale": 0}

    sampling = parts.store.get(posted(client, edit)).spec.sampling

    assert (sampling.steps, sampling.guidance_scale) == (5, 0)


def test_a_trace_context_is_kept(client, edit, parts):
    header = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"

    response = client.post("/v1/edits", json=edit, headers={"traceparent": header})

    assert parts.store.get(response.json()["id"]).traceparent == header


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}])
def test_an_edit_without_a_trace_context_begins_a_trace_of_its_own(client, edit, parts, headers):
    first, second = (client.post("/v1/edits", json=edit, headers=headers).json()["id"] for _ in range(2))

    traces = [Trace.parse(parts.store.get(job_id).traceparent) for job_id in (first, second)]
    assert all(traces)
    assert traces[0].trace_id != traces[1].trace_id


def test_an_unknown_edit_is_not_found(client):
    for response in (client.get("/v1/edits/nobody"), client.post("/v1/edits/nobody/cancel")):
        assert (response.status_code, response.json()["code"]) == (404, "job_not_found")


def test_a_queued_edit_can_be_canceled_and_canceled_again(client, edit, parts):
    job_id = posted(client, edit)

    first = client.post(f"/v1/edits/{job_id}/cancel")
    second = client.post(f"/v1/edits/{job_id}/cancel")

    assert (first.status_code, first.json()["status"]) == (200, "canceled")
    assert first.json() == second.json()
    assert first.json()["finished_at"]


def test_a_running_edit_is_canceled_by_its_worker(client, edit, parts):
    job_id = posted(client, edit)
    begun(parts, job_id)

    response = client.post(f"/v1/edits/{job_id}/cancel")

    assert (response.status_code, response.json()["status"]) == (202, "running")
    assert response.json()["cancel_requested"]
    assert parts.store.watch(job_id).cancel_requested


def ended(parts, job_id: str, how: str = "finish", what: object = ()) -> Job:
    """Bring a queued job to an end."""
    return parts.store.make(getattr(moves, how)(begun(parts, job_id), what))


def begun(parts, job_id: str) -> Job:
    """Bring a queued job into the hands of a worker."""
    return parts.store.make(moves.begin(parts.store.get(job_id), "e1", timedelta(seconds=10)))


@pytest.mark.parametrize(("how", "what"), [("finish", ()), ("fail", JobError(code="x", message="y"))])
def test_an_edit_that_has_ended_cannot_be_canceled(client, edit, parts, how, what):
    job_id = posted(client, edit)
    status = ended(parts, job_id, how, what).status

    response = client.post(f"/v1/edits/{job_id}/cancel")

    assert (response.status_code, response.json()["code"]) == (409, "not_cancelable")
    assert parts.store.get(job_id).status is status


def test_an_edit_that_has_ended_can_be_erased_with_all_it_left(client, edit, parts):
    job_id = posted(client, edit)
    parts.storage.put(f"jobs/{job_id}/e1/source.png", b"a picture", "image/png")
    ended(parts, job_id)

    assert client.delete(f"/v1/edits/{job_id}").status_code == 204

    assert client.get(f"/v1/edits/{job_id}").status_code == client.delete(f"/v1/edits/{job_id}").status_code == 404
    with pytest.raises(ArtifactNotFound):
        parts.storage.read(f"jobs/{job_id}/e1/source.png")


@pytest.mark.parametrize("is_begun", [False, True])
def test_an_edit_that_waits_or_runs_cannot_be_erased(client, edit, parts, is_begun):
    job_id = posted(client, edit)
    if is_begun:
        begun(parts, job_id)

    response = client.delete(f"/v1/edits/{job_id}")

    assert (response.status_code, response.json()["code"]) == (409, "still_active")
    assert parts.store.get(job_id)


def test_a_failed_edit_says_why(client, edit, parts):
    job_id = posted(client, edit)
    ended(parts, job_id, "fail", JobError(code="out_of_memory", message="too large"))

    assert client.get(f"/v1/edits/{job_id}").json()["error"] == {"code": "out_of_memory", "message": "too large"}


def test_the_artifacts_of_an_edit_can_be_fetched_where_it_says(client, edit, parts):
    job_id = posted(client, edit)
    key = f"jobs/{job_id}/e1/source.png"
    parts.storage.put(key, b"a picture", "image/png")
    artifact = Artifact(name="source.png", kind="image", key=key, content_type="image/png", bytes=9, picture=0)
    ended(parts, job_id, "finish", (artifact,))

    (view,) = client.get(f"/v1/edits/{job_id}").json()["artifacts"]
    response = client.get(view["url"])

    assert (view["name"], view["kind"], view["picture"], view["bytes"]) == ("source.png", "image", 0, 9)
    assert "key" not in view
    assert (response.content, response.headers["content-type"]) == (b"a picture", "image/png")


def test_a_record_that_was_removed_is_not_found(parts):
    with pytest.raises(JobNotFound):
        parts.store.get("gone")


@pytest.mark.parametrize("again", ["POST", "PUT"])
def test_what_was_erased_can_be_posted_again_under_its_name(client, edit, again):
    def sent():
        if again == "PUT":
            return client.put("/v1/edits/mine", json=edit)
        return client.post("/v1/edits", json=edit, headers={"Idempotency-Key": "mine"})

    first = sent().headers["Location"]
    client.post(f"{first}/cancel")
    assert client.delete(first).status_code == 204

    second = sent()

    assert second.status_code == 202
    assert second.headers["Location"] != first
    assert "Idempotency-Replayed" not in second.headers
    assert sent().headers["Location"] == second.headers["Location"]
