"""What a queued id does in a worker."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
import torch

from jobs import moves
from jobs.catalogue import ModelPatience
from jobs.errors import NewerRecord, StorageUnavailable
from jobs.model import Job, JobStatus, new_job
from p2p.stepping import made_of
from tests.unit.worker.conftest import KEPT, PaintingSampler
from worker.drain import Drain
from worker.engine import Engine
from worker.tasks import WorkerContext, run_edit, set_context


@pytest.fixture
def post(plane, engine):
    def give_up():
        raise SystemExit(70)

    post = WorkerContext(
        model=plane.job.model,
        engine=engine,
        store=plane.store,
        queue=plane.queue,
        storage=plane.storage,
        sources=plane.sources,
        patience=plane.declaration.patience,
        drain=plane.drain,
        give_up=give_up,
        pause=plane.pauses.append,
    )
    set_context(post)
    yield post
    set_context(None)


def test_a_queued_job_is_worked_off(plane, post):
    run_edit(plane.job.id)

    job = plane.store.get(plane.job.id)
    assert job.status is JobStatus.SUCCEEDED
    assert job.progress.step == job.progress.steps == 4
    assert len(job.artifacts) == 19


def test_a_canceled_job_is_passed_over(plane, post):
    plane.store.make(moves.cancel(plane.job))

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


class Meddling:
    """Does something to the job after its second step."""

    def __init__(self, sampler, meddle) -> None:
        self._sampler, self._meddle = sampler, meddle
        self.ended = False

    def source_of(self, spec):
        return self._sampler.source_of(spec)

    def steps(self, spec, kept, masks):
        def meddled(step):
            if step.index == 1:
                self._meddle()
            yield step

        try:
            return (yield from made_of(self._sampler.steps(spec, kept, masks), meddled))
        finally:
            self.ended = True


@pytest.fixture
def meddle(plane, post):
    """Has something done during the job; gives the sampler that did it."""

    def meddling(action) -> Meddling:
        sampler = Meddling(PaintingSampler(), action)
        set_context(replace(post, engine=Engine(sampler, plane.declaration, revision="x")))
        return sampler

    return meddling


def test_a_running_job_that_is_canceled_stops_before_its_next_step(plane, meddle, monkeypatch):
    monkeypatch.setattr("worker.publishing.LOOK_INTERVAL", 0)
    sampler = meddle(lambda: plane.store.make(moves.ask_to_stop(plane.store.get(plane.job.id))))

    run_edit(plane.job.id)

    job = plane.store.get(plane.job.id)
    assert (job.status, job.progress.step, job.artifacts) == (JobStatus.CANCELED, 2, ())
    assert sampler.ended


def test_a_job_that_is_lost_is_left_alone(plane, meddle):
    def lose():
        plane.store.leases[plane.job.id] = 0
        plane.store.make(moves.take_back(plane.store.get(plane.job.id), max_attempts=3))

    meddle(lose)

    run_edit(plane.job.id)

    assert plane.store.get(plane.job.id).status is JobStatus.QUEUED
    assert not plane.store.outbox


def test_a_worker_that_is_to_end_gives_back_what_it_cannot_finish(plane, meddle):
    meddle(plane.drain.ask)

    run_edit(plane.job.id)

    job = plane.store.get(plane.job.id)
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 0)


def test_a_worker_that_is_to_end_finishes_what_it_can(plane, post, meddle):
    set_context(replace(post, drain=Drain(timedelta(hours=1))))

    run_edit(plane.job.id)

    assert plane.store.get(plane.job.id).status is JobStatus.SUCCEEDED


def test_a_job_that_takes_too_long_fails(plane, post):
    set_context(replace(post, patience=ModelPatience(job_seconds=1e-6)))

    run_edit(plane.job.id)

    assert plane.store.get(plane.job.id).error.code == "deadline_exceeded"


def test_a_job_whose_time_in_the_queue_is_over_is_not_begun(plane, post, sampler):
    late = new_job(plane.job.spec, lifetime=timedelta(hours=1), queue_limit=timedelta(0))
    plane.store.create(late)

    run_edit(late.id)

    assert plane.store.get(late.id).status is JobStatus.QUEUED
    assert sampler.started_from == []


def test_a_job_of_a_newer_version_is_left_to_newer_workers(plane, post):
    newer = new_job(plane.job.spec, lifetime=timedelta(hours=1)).model_copy(update={"schema_version": 99})
    plane.store.create(newer)

    run_edit(newer.id)

    with pytest.raises(NewerRecord):
        plane.store.get(newer.id)
    assert plane.queue.job_ids == [newer.id]
    assert plane.pauses


def test_a_lost_device_ends_the_process_and_leaves_the_job_to_be_tried_again(plane, meddle):
    def lose():
        raise torch.AcceleratorError("an illegal memory access was encountered")

    meddle(lose)

    with pytest.raises(SystemExit):
        run_edit(plane.job.id)

    assert plane.store.get(plane.job.id).status is JobStatus.RUNNING


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
