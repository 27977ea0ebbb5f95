"""What a receiver is told."""

import json
from datetime import timedelta

import pytest

from jobs import moves
from jobs.model import EVENT_NAMES, TRANSITIONS, Artifact, Job, JobError, JobStatus, Webhook, new_job
from jobs.testing import InMemoryJobStore
from jobs.usage import JobUsage
from tests.edits import CAT_TO_DOG
from webhooks.messages import EVENTS, EditEnded, is_wanted, message_about

URL = "https://hooks.test/told"


def ended(status: JobStatus = JobStatus.SUCCEEDED, webhook: Webhook | None = None) -> Job:
    """A job that has ended so, with more artifacts than any has."""
    store, job = InMemoryJobStore(), new_job(CAT_TO_DOG, lifetime=timedelta(hours=1), webhook=webhook)
    store.create(job)
    if status is JobStatus.CANCELED:
        return store.make(moves.cancel(job))
    if status is JobStatus.EXPIRED:
        return store.make(moves.expire(job))
    running = store.make(moves.begin(job, "e1", timedelta(seconds=10)))
    if status is JobStatus.FAILED:
        return store.make(moves.fail(running, JobError(code="out_of_memory", message="x" * 100_000)))
    artifact = Artifact(name="source.png", kind="image", key="k", content_type="image/png", bytes=9)
    return store.make(moves.finish(running, (artifact,) * 1000))


ENDS = [status for status in JobStatus if not TRANSITIONS[status]]


def test_every_end_has_its_event():
    assert set(EVENTS) == set(ENDS)
    assert set(EVENTS.values()) == set(EVENT_NAMES)


@pytest.mark.parametrize("status", ENDS)
def test_a_message_says_what_ended_how_and_where_it_is(status):
    job = ended(status)
    message = message_about(job)

    told = json.loads(message.body)
    assert told["type"] == f"edit.{status}"
    assert told["timestamp"] == job.finished_at.isoformat().replace("+00:00", "Z")
    error = {"error": {"code": "out_of_memory"}} if status is JobStatus.FAILED else {}
    assert told["data"] == {"id": job.id, "status": status, "links": {"self": f"/v1/edits/{job.id}"}, **error}
    assert message.id == f"{job.id}-{status}"
    assert "." not in message.id  # a full stop separates what is signed
    assert EditEnded.model_validate_json(message.body)


@pytest.mark.parametrize("status", ENDS)
def test_a_message_is_small_whatever_the_job_was(status):
    assert len(message_about(ended(status)).body) < 1_000  # the specification says 20 kB


def test_the_same_end_is_the_same_message_every_time():
    job = ended()

    assert message_about(job) == message_about(job)


@pytest.mark.parametrize("status", ENDS)
@pytest.mark.parametrize("by_installation", [False, True])
def test_a_jobs_own_webhook_is_told_of_the_ends_it_names(status, by_installation):
    job = ended(status, Webhook(url=URL, events=("edit.succeeded", "edit.expired")))

    assert is_wanted(job, by_installation=by_installation) == (status in ("succeeded", "expired"))
    assert message_about(job).url == URL


@pytest.mark.parametrize("by_installation", [False, True])
def test_of_a_job_without_a_webhook_the_installations_is_told(by_installation):
    assert is_wanted(ended(), by_installation=by_installation) == by_installation
    assert message_about(ended()).url is None


def test_a_receiver_is_told_what_the_edit_used():
    job = ended().model_copy(update={"usage": JobUsage(gpu_seconds=1.5, steps=20, rows=4, megapixels=0.25)})

    data = json.loads(message_about(job).body)["data"]

    assert data["usage"] == {"gpu_seconds": 1.5, "steps": 20, "rows": 4, "megapixels": 0.25, "bytes_stored": 0}
    assert "usage" not in json.loads(message_about(ended(JobStatus.CANCELED)).body)["data"]
