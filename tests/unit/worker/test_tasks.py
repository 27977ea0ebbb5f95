"""What a queued id does in a worker."""

import pytest

from service.jobs.errors import StorageUnavailable
from service.jobs.model import JobStatus
from worker.tasks import Post, run_edit, take_post


@pytest.fixture
def post(plane, engine):
    post = Post(engine=engine, store=plane.store, storage=plane.storage)
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
