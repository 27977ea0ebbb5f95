"""What may happen to a record, held by the in-memory twin and by Redis alike."""

from datetime import UTC, datetime, timedelta

import pytest

from p2p.spec import EditSpec
from service.jobs.errors import IllegalTransition, JobNotFound
from service.jobs.model import TRANSITIONS, Job, JobProgress, JobStatus, new_job
from service.jobs.store import RedisJobStore, decode, encode
from service.jobs.testing import InMemoryJobStore

SPEC = EditSpec.model_validate(
    {"source": {"prompt": "a cat"}, "targets": [{"prompt": "a dog", "edits": [{"kind": "replace"}]}]}
)


@pytest.fixture(params=["memory", "redis"])
def store(request):
    if request.param == "memory":
        return InMemoryJobStore()
    return RedisJobStore(request.getfixturevalue("redis_client"))


@pytest.fixture
def job(store) -> Job:
    made = new_job(SPEC, lifetime=timedelta(hours=1))
    store.create(made)
    return made


def at(store, job: Job, status: JobStatus) -> None:
    """Bring a queued job into a state."""
    if status in TRANSITIONS[JobStatus.RUNNING] or status is JobStatus.RUNNING:
        store.transition(job.id, JobStatus.RUNNING)
    if status is not JobStatus.RUNNING:
        store.transition(job.id, status)


def test_a_record_comes_back_as_it_was(store, job):
    assert store.get(job.id) == job


@pytest.mark.parametrize("before", JobStatus)
@pytest.mark.parametrize("after", JobStatus)
def test_only_the_tables_transitions_happen(store, job, before, after):
    at(store, job, before)

    if after in TRANSITIONS[before]:
        assert store.transition(job.id, after).status is after
    else:
        with pytest.raises(IllegalTransition):
            store.transition(job.id, after)
        assert store.get(job.id).status is before


def test_fields_change_with_the_state_or_not_at_all(store, job):
    store.transition(job.id, JobStatus.CANCELED)

    with pytest.raises(IllegalTransition):
        store.transition(job.id, JobStatus.RUNNING, attempt=1)

    assert store.get(job.id).attempt == 0


def test_an_execution_that_lost_the_job_changes_nothing(store, job):
    store.transition(job.id, JobStatus.RUNNING, execution="first")
    store.transition(job.id, JobStatus.QUEUED, holder="first")
    store.transition(job.id, JobStatus.RUNNING, execution="second")

    with pytest.raises(IllegalTransition):
        store.update(job.id, holder="first", progress=JobProgress(step=1, steps=2))
    with pytest.raises(IllegalTransition):
        store.transition(job.id, JobStatus.SUCCEEDED, holder="first")

    store.update(job.id, holder="second", progress=JobProgress(step=2, steps=2))
    assert store.get(job.id).progress == JobProgress(step=2, steps=2)


def test_nothing_is_reported_of_a_job_that_does_not_run(store, job):
    with pytest.raises(IllegalTransition):
        store.update(job.id, holder="x", progress=JobProgress(step=1, steps=2))


def test_a_job_can_be_taken_from_one_state_only(store, job):
    store.transition(job.id, JobStatus.RUNNING)

    with pytest.raises(IllegalTransition):
        store.transition(job.id, JobStatus.CANCELED, only_from=JobStatus.QUEUED)


def test_what_is_not_there_is_not_found(store, job):
    store.remove(job.id)

    with pytest.raises(JobNotFound):
        store.get(job.id)
    with pytest.raises(JobNotFound):
        store.transition(job.id, JobStatus.RUNNING)


def test_a_field_that_no_job_has_is_refused(store, job):
    with pytest.raises(TypeError, match="colour"):
        store.transition(job.id, JobStatus.RUNNING, colour="red")


def test_a_record_ends_when_it_says(redis_client):
    store, job = RedisJobStore(redis_client), new_job(SPEC, lifetime=timedelta(hours=1))
    store.create(job)
    assert 3500 < redis_client.ttl(f"job:{job.id}") <= 3600

    store.transition(job.id, JobStatus.CANCELED, expires_at=datetime.now(UTC) + timedelta(hours=2))

    assert 7100 < redis_client.ttl(f"job:{job.id}") <= 7200


def test_a_field_of_a_newer_version_is_passed_over():
    job = new_job(SPEC, lifetime=timedelta(hours=1))
    fields = encode({name: getattr(job, name) for name in Job.model_fields})

    assert decode({**fields, "colour": '"red"'}) == job
