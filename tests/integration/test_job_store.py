"""What may happen to a record, held by the in-memory twin and by Redis alike."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs import moves
from jobs.errors import IllegalTransition, JobNotFound, NewerRecord
from jobs.model import (
    TRANSITIONS,
    Artifact,
    Job,
    JobError,
    JobProgress,
    JobStatus,
    artifact_key,
    new_job,
)
from jobs.moves import Move
from jobs.redis import keys
from jobs.redis.record import decode, encode
from jobs.redis.store import RedisJobStore
from jobs.testing import InMemoryJobStore
from jobs.versions import SCHEMA_VERSION
from tests.edits import CAT_TO_DOG
from tests.patience import PATIENCE

LEASE = timedelta(seconds=10)
#: A lease that is over at once.
NONE = timedelta(0)


@pytest.fixture(params=["memory", "redis"])
def store(request):
    if request.param == "memory":
        return InMemoryJobStore()
    return RedisJobStore(request.getfixturevalue("redis_client"))


def made() -> Job:
    return new_job(CAT_TO_DOG, lifetime=timedelta(hours=1), queue_limit=timedelta(hours=2))


@pytest.fixture
def job(store) -> Job:
    job = made()
    store.create(job)
    return job


def begun(store, job: Job, execution: str = "first", lease: timedelta = LEASE) -> Job:
    return store.make(moves.begin(store.get(job.id), execution, lease))


def at(store, job: Job, status: JobStatus) -> Job:
    """Bring a queued job into a state."""
    match status:
        case JobStatus.QUEUED:
            return job
        case JobStatus.EXPIRED:
            return store.make(moves.expire(job))
    running = begun(store, job)
    match status:
        case JobStatus.SUCCEEDED:
            return store.make(moves.finish(running, ()))
        case JobStatus.FAILED:
            return store.make(moves.fail(running, JobError(code="x", message="y")))
        case JobStatus.CANCELED:
            return store.make(moves.stop(running))
    return running


def test_a_record_comes_back_as_it_was(store, job):
    assert store.get(job.id).model_copy(update={"message": None, "line": None}) == job


@pytest.mark.parametrize("before", JobStatus)
@pytest.mark.parametrize(("from_", "to"), [(a, b) for a, targets in TRANSITIONS.items() for b in sorted(targets)])
def test_a_move_is_made_from_its_own_state_only(store, job, before, from_, to):
    at(store, job, before)
    move = Move(job_id=job.id, model=job.model, from_=from_, to=to)

    if from_ is before:
        assert store.make(move).status is to
    else:
        with pytest.raises(IllegalTransition):
            store.make(move)
        assert store.get(job.id).status is before


def test_no_move_leads_where_the_table_does_not():
    for before in JobStatus:
        for after in set(JobStatus) - TRANSITIONS[before] - {before}:
            with pytest.raises(ValueError, match=before):
                Move(job_id="x", model="y", from_=before, to=after)


def test_fields_change_with_the_state_or_not_at_all(store, job):
    store.make(moves.cancel(job))

    with pytest.raises(IllegalTransition):
        store.make(moves.begin(job, "first", LEASE))

    assert (store.get(job.id).attempt, store.get(job.id).execution) == (0, None)


def test_an_execution_that_lost_the_job_changes_nothing(store, job):
    first = begun(store, job, "first", NONE)
    store.make(moves.take_back(first, max_attempts=3))
    second = begun(store, job, "second")

    late = (
        moves.report(first, JobProgress(step=1, steps=2)), moves.finish(first, ()), moves.stop(first),
        moves.show(first, 1, 2, "jobs/x/first/previews/0001.jpg"),
        moves.fail(first, JobError(code="x", message="y")), moves.hand_back(first),
        moves.take_back(first, max_attempts=3),
    )  # fmt: skip
    for move in late:
        with pytest.raises(IllegalTransition):
            store.make(move)
    assert not store.renew(first, LEASE)

    assert store.renew(second, LEASE)
    store.make(moves.report(second, JobProgress(step=2, steps=2)))
    assert store.get(job.id).progress == JobProgress(step=2, steps=2)


def test_a_preview_that_was_told_of_is_told_of_once(request, store, job):
    """As of a move whose answer was lost on its way."""
    running = begun(store, job)
    first, second = (moves.show(running, step, 4, f"jobs/x/e/previews/000{step}.jpg") for step in (1, 2))

    for move in (first, first, moves.report(running, JobProgress(step=2, steps=4)), first, second, second):
        store.make(move)

    if isinstance(store, InMemoryJobStore):
        told = store.told[job.id]
    else:
        redis_client = request.getfixturevalue("redis_client")
        told = [fields["e"] for _, fields in redis_client.xrange(keys.events(job.id))]
    assert told[2:] == [first.event, "progress 2/4", second.event]


def test_a_job_is_taken_back_once_its_lease_has_run_out_and_not_before(store, job):
    running = begun(store, job)
    with pytest.raises(IllegalTransition):
        store.make(moves.take_back(running, max_attempts=3))

    store.renew(running, NONE)

    again = store.make(moves.take_back(running, max_attempts=3))
    assert (again.status, again.attempt, again.execution, again.progress) == (JobStatus.QUEUED, 1, None, None)
    assert again.start_by > job.start_by


def test_the_last_attempt_is_the_last(store, job):
    for attempt in (1, 2, 3):
        running = begun(store, job, f"e{attempt}", NONE)
        assert running.attempt == attempt
        after = store.make(moves.take_back(running, max_attempts=3))

    assert (after.status, after.error.code) == (JobStatus.FAILED, "worker_lost")


def test_a_job_whose_worker_is_lost_while_it_is_being_canceled_is_canceled(store, job):
    running = begun(store, job, "first", NONE)
    asked = store.make(moves.ask_to_stop(running))
    assert store.watch(job.id).cancel_requested

    assert store.make(moves.take_back(asked, max_attempts=3)).status is JobStatus.CANCELED


def test_to_be_given_back_costs_no_attempt(store, job):
    after = store.make(moves.hand_back(begun(store, job)))

    assert (after.status, after.attempt, after.execution) == (JobStatus.QUEUED, 0, None)


def test_what_is_not_there_is_not_found(store):
    job = made()

    with pytest.raises(JobNotFound):
        store.get(job.id)
    with pytest.raises(JobNotFound):
        store.watch(job.id)
    with pytest.raises(JobNotFound):
        begun(store, job)


def test_a_field_that_no_job_has_is_refused(store, job):
    with pytest.raises(TypeError, match="colour"):
        store.make(replace(moves.cancel(job), changes={"colour": "red"}))


def test_a_move_that_was_made_already_says_so(redis_client):
    """What a client sends again because the answer was lost on its way."""
    store, job = RedisJobStore(redis_client), made()
    store.create(job)
    begin = moves.begin(job, "first", LEASE)
    assert store.make(begin) == store.make(begin)
    finish = moves.finish(store.get(job.id), ())

    assert store.make(finish) == store.make(finish)

    assert [fields.get("job") for _, fields in redis_client.xrange(keys.OUTBOX)].count(job.id) == 1


@pytest.mark.parametrize("status", JobStatus)
def test_a_job_stands_in_the_index_of_its_state(redis_client, status):
    store, job = RedisJobStore(redis_client), made()
    store.create(job)
    at(store, job, status)

    waiting = redis_client.zscore(keys.waiting(job.model), job.id)
    lease = redis_client.zscore(keys.leases(job.model), job.id)

    assert (waiting is not None) == (status is JobStatus.QUEUED)
    assert (lease is not None) == (status is JobStatus.RUNNING)
    told = [fields["status"] for _, fields in redis_client.xrange(keys.OUTBOX) if fields.get("job") == job.id]
    assert told == ([status] if status.is_terminal else [])


def test_a_record_and_its_events_end_when_it_says(redis_client):
    store, job = RedisJobStore(redis_client), made()
    store.create(job)
    names = keys.record(job.id), keys.events(job.id)
    for name in names:
        assert 3 * 3600 - PATIENCE < redis_client.ttl(name) <= 3 * 3600

    begun(store, job)
    store.make(moves.finish(store.get(job.id), ()))

    for name in names:
        assert 3600 - PATIENCE < redis_client.ttl(name) <= 3600


def test_followers_are_told_what_happens(redis_client):
    store, job = RedisJobStore(redis_client), made()
    store.create(job)
    running = begun(store, job)
    for step in range(1, 301):
        store.make(moves.report(running, JobProgress(step=step, steps=300)))
    store.make(moves.finish(running, ()))

    events = [fields["e"] for _, fields in redis_client.xrange(keys.events(job.id))]
    assert len(events) == 256
    assert events[-2:] == ["progress 300/300", "succeeded"]


def test_a_long_value_is_kept_packed(redis_client):
    store, job = RedisJobStore(redis_client), made()
    store.create(job)
    running = begun(store, job)
    names = [f"heatmaps/edit-{picture}-{word:02d}-word.png" for picture in range(4) for word in range(7)]
    artifacts = tuple(
        Artifact(
            name=name,
            kind="heatmap",
            key=artifact_key(job.id, running.execution, name),
            content_type="image/png",
            bytes=20_000 + number,
            picture=number // 7,
            word="word",
        )
        for number, name in enumerate(names)
    )
    store.make(moves.finish(running, artifacts))

    assert store.get(job.id).artifacts == artifacts
    assert len(redis_client.hget(keys.record(job.id), "artifacts")) < 1000


def test_a_lease_is_redis_own_time(redis_client):
    store, job = RedisJobStore(redis_client), made()
    store.create(job)
    begun(store, job, "first", timedelta(hours=1))

    left = redis_client.zscore(keys.leases(job.model), job.id) / 1000 - time.time()

    # The same machine here, whose clock the other program reads a little earlier; less what the test took.
    assert 3600 - PATIENCE < left <= 3600.1


def test_a_record_of_a_newer_version_is_left_alone(store):
    newer = made().model_copy(update={"schema_version": SCHEMA_VERSION + 1})
    store.create(newer)

    with pytest.raises(NewerRecord):
        store.get(newer.id)


def test_a_field_of_a_newer_version_is_passed_over():
    job = made()
    fields = encode({name: getattr(job, name) for name in Job.model_fields})

    assert decode({**fields, "colour": '"red"'}) == job
