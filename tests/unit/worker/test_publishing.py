"""The publisher writes what happens, in the order that a client can rely on, and as one execution."""

from itertools import count
from types import SimpleNamespace

import pytest

from jobs import moves
from jobs.errors import ArtifactNotFound, IllegalTransition
from jobs.model import JobError, JobProgress, JobStatus
from jobs.redis.store import Watch
from jobs.usage import JobUsage
from worker.events import ArtifactReady, Canceled, Failed, Finished, HandedBack, Progress, Started
from worker.publishing import Publisher
from worker.usage import Usage

PICTURE = ArtifactReady(name="source.png", kind="image", content_type="image/png", data=b"a picture", picture=0)


@pytest.fixture
def meter() -> SimpleNamespace:
    """What an execution has taken so far, as a test says."""
    return SimpleNamespace(usage=used(0, seconds=0.0))


@pytest.fixture
def publisher(plane, meter) -> Publisher:
    return Publisher(plane.job, plane.store, plane.storage, plane.sources, clock=count().__next__, meter=meter)


def record(plane):
    return plane.store.get(plane.job.id)


def test_a_job_starts_as_an_execution_of_its_own(plane, publisher):
    publisher.handle(Started())

    job = record(plane)
    assert (job.status, job.attempt, job.execution) == (JobStatus.RUNNING, 1, publisher.job.execution)
    assert job.started_at


def test_a_job_that_was_canceled_meanwhile_is_not_started(plane, publisher):
    plane.store.make(moves.cancel(plane.job))

    with pytest.raises(IllegalTransition):
        publisher.handle(Started())


def test_a_result_is_in_the_record_once_the_job_is_finished(plane, publisher):
    publisher.handle(Started())
    publisher.handle(PICTURE)
    assert record(plane).artifacts == ()

    publisher.handle(Finished())

    job = record(plane)
    (artifact,) = job.artifacts
    assert job.status is JobStatus.SUCCEEDED
    assert artifact.key == f"jobs/{job.id}/{job.execution}/source.png"
    assert (artifact.bytes, artifact.content_type, artifact.picture) == (9, "image/png", 0)


def test_a_finished_job_lives_on_as_long_as_it_was_given(plane, publisher):
    publisher.handle(Started())
    publisher.handle(Finished())

    job = record(plane)
    assert job.expires_at - job.finished_at == plane.job.lifetime


@pytest.mark.parametrize(
    ("event", "status", "error"),
    [
        (Failed(code="x", message="y"), JobStatus.FAILED, JobError(code="x", message="y")),
        (Canceled(), JobStatus.CANCELED, None),
        (HandedBack(), JobStatus.QUEUED, None),
    ],
)
def test_an_end_is_written_as_what_it_is(plane, publisher, event, status, error):
    publisher.handle(Started())
    publisher.handle(event)

    assert (record(plane).status, record(plane).error) == (status, error)


def test_progress_that_is_followed_is_written_now_and_then_and_at_the_end(plane):
    plane.store.followed.add(plane.job.id)
    at = 0.0
    publisher = Publisher(plane.job, plane.store, plane.storage, plane.sources, clock=lambda: at)
    publisher.handle(Started())

    written = []
    for step, at in ((1, 0.0), (2, 0.1), (3, 0.2), (4, 0.3)):  # noqa: B007 the clock reads it
        publisher.handle(Progress(step=step, steps=5))
        written.append(record(plane).progress.step)
    at = 0.31
    publisher.handle(Progress(step=5, steps=5))

    assert written == [1, 1, 1, 4]
    assert record(plane).progress == JobProgress(step=5, steps=5)


def test_steps_that_nobody_follows_are_not_written_until_somebody_does(plane, publisher):
    publisher.handle(Started())
    publisher.handle(Progress(step=1, steps=5))
    publisher.handle(Progress(step=2, steps=5))
    assert record(plane).progress is None

    plane.store.followed.add(plane.job.id)
    publisher.handle(Progress(step=3, steps=5))

    assert record(plane).progress == JobProgress(step=3, steps=5)
    assert plane.store.told[plane.job.id] == ["queued", "started", "progress 3/5"]


def test_a_job_that_nobody_follows_is_looked_at_once_a_second_and_not_after_its_last_step(plane, monkeypatch):
    at = 0.0
    publisher = Publisher(plane.job, plane.store, plane.storage, plane.sources, clock=lambda: at)
    publisher.handle(Started())
    looks = []
    monkeypatch.setattr(plane.store, "watch", lambda _: looks.append(at) or Watch(publisher.job.execution, False))

    for step in range(1, 21):
        at = step / 10
        publisher.handle(Progress(step=step, steps=20))

    assert looks == [1.0]


def test_a_report_is_of_the_latest_step_and_is_written_once(plane, publisher):
    publisher.handle(Started())
    assert publisher.report() is None

    publisher.handle(Progress(step=1, steps=5))
    publisher.handle(Progress(step=2, steps=5))
    late = publisher.report()
    publisher.handle(Progress(step=3, steps=5))
    for report in (publisher.report(), late, publisher.report()):
        plane.store.make(report)

    assert record(plane).progress == JobProgress(step=3, steps=5)
    assert plane.store.told[plane.job.id] == ["queued", "started", "progress 3/5"]


@pytest.mark.parametrize("end", [Finished(), Failed(code="x", message="y"), Canceled()])
def test_an_end_says_how_far_the_run_came_whether_or_not_anybody_followed(plane, publisher, end):
    for event in (Started(), Progress(step=4, steps=5), end):
        publisher.handle(event)

    assert record(plane).progress == JobProgress(step=4, steps=5)


def test_a_job_that_is_given_back_has_no_progress(plane, publisher):
    for event in (Started(), Progress(step=4, steps=5), HandedBack()):
        publisher.handle(event)

    assert record(plane).progress is None


def test_an_execution_that_lost_its_job_writes_nothing_more(plane, publisher):
    publisher.handle(Started())
    publisher.handle(PICTURE)
    plane.store.leases[plane.job.id] = 0
    plane.store.make(moves.take_back(record(plane), max_attempts=3))

    for event in (Progress(step=4, steps=5), Finished()):
        with pytest.raises(IllegalTransition):
            publisher.handle(event)
    publisher.discard()

    assert record(plane).status is JobStatus.QUEUED
    with pytest.raises(ArtifactNotFound):
        plane.storage.read(f"jobs/{plane.job.id}/{publisher.job.execution}/source.png")


def used(steps: int, seconds: float = 1.5):
    return Usage(gpu_seconds=seconds, steps=steps, rows=4, megapixels=0.25)


@pytest.mark.parametrize(
    ("end", "bytes_stored"),
    [(Finished(), 9), (Failed(code="x", message="y"), 0), (Canceled(), 0), (HandedBack(), 0)],
)
def test_every_end_says_what_the_job_used(plane, publisher, meter, end, bytes_stored):
    meter.usage = used(3)
    for event in (Started(), PICTURE, end):
        publisher.handle(event)

    assert record(plane).usage == JobUsage(gpu_seconds=1.5, steps=3, rows=4, megapixels=0.25, bytes_stored=bytes_stored)


def test_a_job_that_is_tried_again_adds_up_its_attempts(plane, publisher, meter):
    meter.usage = used(3)
    publisher.handle(Started())
    publisher.handle(HandedBack())
    meter.usage = used(20, seconds=10.0)
    again = Publisher(record(plane), plane.store, plane.storage, plane.sources, meter=meter)
    for event in (Started(), PICTURE, Finished()):
        again.handle(event)

    assert record(plane).usage == JobUsage(gpu_seconds=11.5, steps=23, rows=4, megapixels=0.25, bytes_stored=9)


def test_of_a_lost_attempt_counts_what_was_last_reported(plane, publisher, meter):
    publisher.handle(Started())
    meter.usage = used(2)
    publisher.handle(Progress(step=2, steps=2))
    plane.store.make(publisher.report())
    meter.usage = used(9)
    plane.store.leases.clear()
    plane.store.make(moves.take_back(record(plane), max_attempts=3))

    assert record(plane).usage.steps == 2


def test_a_job_without_a_step_says_nothing_of_its_usage(plane, publisher):
    publisher.handle(Started())
    publisher.handle(Failed(code="x", message="y"))

    assert record(plane).usage is None


@pytest.mark.parametrize("store", [True, False])
def test_of_what_is_not_stored_nothing_is_kept_for_later(plane, meter, store):
    job = plane.job.model_copy(update={"store": store})
    publisher = Publisher(job, plane.store, plane.storage, plane.sources, clock=count().__next__, meter=meter)
    trajectory = ArtifactReady(
        name="trajectory.safetensors",
        kind="trajectory",
        content_type="application/octet-stream",
        data=b"latents",
        source="a digest",
    )

    publisher.handle(Started())
    # As the record would say it.
    publisher.job = publisher.job.model_copy(update={"store": store})
    publisher.handle(trajectory)
    publisher.handle(Finished())

    assert (plane.sources.find(job.owner, "a digest") is not None) == store
