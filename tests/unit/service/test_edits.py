"""Submitting, fetching and canceling edits."""

import pytest

from service.jobs.errors import JobNotFound
from service.jobs.model import Artifact, JobError, JobStatus
from service.jobs.testing import BrokenQueue


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


def test_an_accepted_edit_is_recorded_and_queued(client, edit, parts):
    job_id = posted(client, edit)

    job = parts.store.get(job_id)
    assert parts.queue.job_ids == [job_id]
    assert (job.schema_version, job.owner, job.status, job.attempt) == (1, "anonymous", JobStatus.QUEUED, 0)
    assert job.expires_at - job.created_at == parts.plane.job_lifetime


def test_the_record_says_everything_that_decides_the_result(client, edit, parts):
    sampling = parts.store.get(posted(client, edit)).spec.sampling

    assert (sampling.steps, sampling.guidance_scale, sampling.height, sampling.width) == (3, 3.0, 32, 32)


def test_what_was_asked_for_wins_over_the_models_defaults(client, edit, parts):
    edit["sampling"] = {"steps": 5, "guidance_scale": 0}

    sampling = parts.store.get(posted(client, edit)).spec.sampling

    assert (sampling.steps, sampling.guidance_scale) == (5, 0)


def test_nothing_of_an_edit_is_kept_where_the_queue_does_not_take_it(serve, edit, parts):
    response = serve(queue=BrokenQueue()).post("/v1/edits", json=edit)

    assert (response.status_code, response.json()["code"]) == (503, "queue_unavailable")
    assert parts.store._records == {}


@pytest.mark.parametrize(("header", "kept"), [("00-" + "a" * 32 + "-" + "b" * 16 + "-01", True), ("nonsense", False)])
def test_a_trace_context_is_kept_where_it_is_one(client, edit, parts, header, kept):
    response = client.post("/v1/edits", json=edit, headers={"traceparent": header})

    assert parts.store.get(response.json()["id"]).traceparent == (header if kept else None)


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
    assert parts.queue.job_ids == []


@pytest.mark.parametrize("ending", [None, JobStatus.SUCCEEDED, JobStatus.FAILED])
def test_an_edit_that_runs_or_has_ended_cannot_be_canceled(client, edit, parts, ending):
    job_id = posted(client, edit)
    parts.store.transition(job_id, JobStatus.RUNNING)
    if ending:
        parts.store.transition(job_id, ending)

    response = client.post(f"/v1/edits/{job_id}/cancel")

    assert (response.status_code, response.json()["code"]) == (409, "not_cancelable")
    assert parts.store.get(job_id).status is (ending or JobStatus.RUNNING)


def test_a_failed_edit_says_why(client, edit, parts):
    job_id = posted(client, edit)
    parts.store.transition(job_id, JobStatus.RUNNING)
    parts.store.transition(job_id, JobStatus.FAILED, error=JobError(code="out_of_memory", message="too large"))

    assert client.get(f"/v1/edits/{job_id}").json()["error"] == {"code": "out_of_memory", "message": "too large"}


def test_the_artifacts_of_an_edit_can_be_fetched_where_it_says(client, edit, parts):
    job_id = posted(client, edit)
    key = f"jobs/{job_id}/e1/source.png"
    parts.storage.put(key, b"a picture", "image/png")
    artifact = Artifact(name="source.png", kind="image", key=key, content_type="image/png", bytes=9, picture=0)
    parts.store.transition(job_id, JobStatus.RUNNING)
    parts.store.transition(job_id, JobStatus.SUCCEEDED, artifacts=(artifact,))

    (view,) = client.get(f"/v1/edits/{job_id}").json()["artifacts"]
    response = client.get(view["url"])

    assert (view["name"], view["kind"], view["picture"], view["bytes"]) == ("source.png", "image", 0, 9)
    assert "key" not in view
    assert (response.content, response.headers["content-type"]) == (b"a picture", "image/png")


def test_a_record_that_was_removed_is_not_found(parts):
    with pytest.raises(JobNotFound):
        parts.store.get("gone")
