"""Every kind of job shares steps with a plain pair, and is what it is alone."""

import io
from datetime import timedelta
from functools import partial

import numpy as np
import pytest
from PIL import Image

from jobs import moves
from jobs.images import image_key
from jobs.model import Job, JobStatus, new_job
from p2p.spec import EditSpec
from tests import tiny
from tests.cohorts import packed
from tests.unit.worker.test_table import Waiting, turns_of
from worker.engine import Engine
from worker.sampler import ModelSampler
from worker.sharing import SharedModel
from worker.tasks import WorkerContext, run_edit, set_context

PAIR = {
    "model": "tiny",
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
    "sampling": {"seed": 1, "steps": 4, "guidance_scale": 3.0, "height": 32, "width": 32},
}
UPLOAD = f"img_{0:032}"
PHOTO = {**PAIR, "source": {"prompt": "a cat on the beach", "image": {"upload": UPLOAD}}}
KINDS = {
    "several seeds": {**PAIR, "sampling": {**PAIR["sampling"], "seed": None, "seeds": [3, 4]}},
    "a photo": PHOTO,
    "a photo's noise": {**PHOTO, "inversion": {"method": "edit_friendly"}},
    "a photo without edits": {**PHOTO, "targets": []},
    "a picture without edits": {**PAIR, "targets": []},
    "no guidance": {**PAIR, "sampling": {**PAIR["sampling"], "guidance_scale": 1.0}},
    "previews": {**PAIR, "artifacts": {"previews": 3}},
}


@pytest.fixture(scope="module")
def family():
    return packed(tiny.pipeline)


@pytest.fixture
def worker(plane, family):
    """Sets what jobs are worked off with: one at a time, or beside each other."""
    picture = io.BytesIO()
    Image.fromarray(np.random.default_rng(5).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(picture, "PNG")
    plane.storage.put(image_key(UPLOAD), picture.getvalue(), "image/png")

    def with_rows(max_rows: int | None) -> None:
        declaration = plane.declaration.model_copy(update={"max_rows": max_rows})
        share = partial(SharedModel, family)
        set_context(
            WorkerContext(
                model="tiny",
                engine=Engine(ModelSampler(family), declaration, revision=family.revision, share=share),
                store=plane.store,
                queue=plane.queue,
                storage=plane.storage,
                sources=plane.sources,
                patience=declaration.patience,
                drain=plane.drain,
                head=Waiting(plane.store),
            )
        )

    yield with_rows
    set_context(None)


@pytest.fixture
def queued(plane):

    plane.store.make(moves.cancel(plane.job))

    def queue(spec: dict) -> Job:
        job = new_job(EditSpec.model_validate(spec), lifetime=timedelta(hours=1))
        plane.store.create(job)
        return job

    return queue


def pictures(plane, job: Job) -> dict[str, bytes]:
    record = plane.store.get(job.id)
    assert record.status is JobStatus.SUCCEEDED, record.error
    return {each.name: plane.storage.read(each.key) for each in record.artifacts if each.kind == "image"}


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_the_pictures_of_a_lone_run(plane, worker, queued, kind):
    worker(None)
    lone = queued(KINDS[kind])
    run_edit(lone.id)
    plane.sources.keys.clear()  # or a photo would not be inverted among others
    worker(32)
    neighbour, job = queued({**PAIR, "sampling": {**PAIR["sampling"], "steps": 12}}), queued(KINDS[kind])

    run_edit(neighbour.id)

    assert pictures(plane, job) == pictures(plane, lone)
    assert pictures(plane, neighbour)
    if kind != "a photo without edits":
        assert {jobs for _, jobs in turns_of(plane, job)} == {2}


def test_a_kept_source_is_taken_up_among_others(plane, worker, queued):
    worker(32)
    keeping = queued({**PAIR, "artifacts": {"trajectory": True}})
    run_edit(keeping.id)
    first, later = queued({**PAIR, "sampling": {**PAIR["sampling"], "seed": 9}}), queued(PAIR)

    run_edit(first.id)

    assert {jobs for _, jobs in turns_of(plane, later)} == {2}
    difference = [
        np.abs(np.asarray(Image.open(io.BytesIO(one)), int) - np.asarray(Image.open(io.BytesIO(other)), int)).max()
        for one, other in zip(pictures(plane, later).values(), pictures(plane, keeping).values(), strict=True)
    ]
    # A kept source has other rows: rounding, which may tip a level of 256.
    assert max(difference) <= 1


def test_a_photo_with_gradients_shares_with_nobody(plane, worker, queued):
    worker(32)
    photo = queued({**PHOTO, "inversion": {"method": "null_text"}})
    other = queued(PAIR)

    run_edit(photo.id)

    assert pictures(plane, photo)
    assert plane.store.get(other.id).status is JobStatus.QUEUED
