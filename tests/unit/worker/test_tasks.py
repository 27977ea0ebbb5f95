"""What a queued id does in a worker."""

import json
from datetime import timedelta

import pytest
import torch

from service.jobs.errors import StorageUnavailable
from service.jobs.model import Job, JobStatus, new_job
from tests.unit.worker.conftest import KEPT
from worker.tasks import Post, run_edit, take_post


@pytest.fixture
def post(plane, engine):
    post = Post(engine=engine, store=plane.store, storage=plane.storage, sources=plane.sources)
    take_post(post)
    yield post
    take_post(None)


def test_a_queued_job_is_worked_off(plane, post):
    run_edit(plane.job.id)

    job = plane.store.get(plane.job.id)
    assert job.status is JobStatus.SUCCEEDED
    assert job.progress.step == job.progress.steps == 4
    assert len(job.artifacts) == 19


def test_a_canceled_job_is_passed_over(plane, post):
    plane.store.transition(plane.job.id, JobStatus.CANCELED)

    run_edit(plane.job.id)

    assert plane.store.get(plane.job.id).status is JobStatus.CANCELED


def test_a_job_that_is_gone_is_passed_over(post):
    run_edit("gone")


@pytest.mark.parametrize(
    ("error", "code"), [(StorageUnavailable("take it"), "storage_unavailable"), (TypeError("no"), "internal_error")]
)
def test_a_job_whose_results_cannot_be_stored_fails(plane, post, monkeypatch, error, code):
    def put(*_):
        raise error

    monkeypatch.setattr(plane.storage, "put", put)

    run_edit(plane.job.id)

    job = plane.store.get(plane.job.id)
    assert (job.status, job.error.code) == (JobStatus.FAILED, code)


def test_a_process_without_a_model_says_so(plane):
    with pytest.raises(RuntimeError, match="python -m worker"):
        run_edit(plane.job.id)


def asks_to_keep(plane) -> Job:
    """A second queued job, which leaves its source behind."""
    artifacts = plane.job.spec.artifacts.model_copy(update={"trajectory": True})
    job = new_job(plane.job.spec.model_copy(update={"artifacts": artifacts}), lifetime=timedelta(hours=1))
    plane.store.create(job)
    return job


def test_a_source_that_is_kept_is_taken_up_by_the_next_job(plane, post, sampler):
    run_edit(asks_to_keep(plane).id)
    run_edit(plane.job.id)

    first, second = sampler.started_from
    assert first is None
    assert second.key == KEPT.key
    assert torch.equal(second.latents, KEPT.latents)


def test_a_source_is_kept_among_its_jobs_artifacts_and_named_in_the_manifest(plane, post):
    keeping = asks_to_keep(plane)
    run_edit(keeping.id)
    run_edit(plane.job.id)

    kinds = [artifact.kind for artifact in plane.store.get(keeping.id).artifacts]
    assert kinds.count("trajectory") == 1
    assert [said(plane, job)["source"] for job in (keeping, plane.job)] == ["generated", "kept"]


def said(plane, job) -> dict:
    """What a finished job's manifest says."""
    (manifest,) = (a for a in plane.store.get(job.id).artifacts if a.kind == "manifest")
    return json.loads(plane.storage.read(manifest.key))


@pytest.mark.parametrize("left", [None, b"", b"no safetensors", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_kept_source_that_cannot_be_read_is_generated_anew(plane, post, sampler, left):
    plane.sources.remember("anonymous", KEPT.key, "jobs/x/y/trajectory.safetensors", timedelta(hours=1))
    if left is not None:
        plane.storage.put("jobs/x/y/trajectory.safetensors", left, "application/octet-stream")

    run_edit(plane.job.id)

    assert sampler.started_from == [None]
    assert plane.store.get(plane.job.id).status is JobStatus.SUCCEEDED


def test_another_owners_source_is_not_taken(plane, post, sampler):
    run_edit(asks_to_keep(plane).id)
    plane.sources.keys = {("somebody", source): key for (_, source), key in plane.sources.keys.items()}

    run_edit(plane.job.id)

    assert sampler.started_from == [None, None]


def test_a_job_that_fails_leaves_no_source_to_be_found(plane, post, monkeypatch):
    put = plane.storage.put

    def refuses_the_manifest(key, data, content_type):
        if key.endswith("manifest.json"):
            raise StorageUnavailable("take it")
        put(key, data, content_type)

    monkeypatch.setattr(plane.storage, "put", refuses_the_manifest)
    run_edit(asks_to_keep(plane).id)

    assert not plane.sources.keys
