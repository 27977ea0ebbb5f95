"""Previews are shown beside the run: judged, never in its way, and nothing to fail by."""

import io
import time
from threading import Event, Thread
from types import SimpleNamespace

import pytest
import redis
import torch
from PIL import Image

from jobs import moves
from jobs.errors import StorageUnavailable
from jobs.model import JobStatus, new_job
from p2p.spec import EditSpec
from tests.moderation_hook import judge
from tests.unit.worker.conftest import SPEC, PaintingSampler
from worker.engine import DeviceLost, Engine
from worker.events import Failed, Finished, PreviewReady, Progress, Started
from worker.marking import source_type_of_job
from worker.moderation import Judge
from worker.previews import sheet
from worker.publishing import Publisher
from worker.runs import run_all, ways


@pytest.fixture
def asking(plane):
    """A job that asks for previews."""

    def asked(previews: int = 4, source: str = "a cat", **sampling):
        target = {"prompt": f"{source} on a beach", "edits": [{"kind": "refine"}]}
        body = SPEC | {"source": {"prompt": source}, "targets": [target, target]}
        body |= {"artifacts": {"previews": previews}, "sampling": SPEC["sampling"] | sampling}
        job = new_job(EditSpec.model_validate(body), lifetime=plane.job.lifetime)
        plane.store.create(job)
        return job

    return asked


@pytest.fixture
def publisher(plane, asking) -> Publisher:
    """Of a job that has begun."""
    made = Publisher(asking(), plane.store, plane.storage, plane.sources, judge=Judge(no_red))
    made.handle(Started())
    return made


GREEN, RED = Image.new("RGB", (8, 8), (0, 255, 0)), Image.new("RGB", (8, 8), (255, 0, 0))


def no_red(material) -> str | None:
    """A hook that refuses `RED`."""
    return "red" if material.picture and material.picture.getpixel((0, 0)) == (255, 0, 0) else None


def ready(step: int = 5, *pictures: Image.Image) -> PreviewReady:
    return PreviewReady(step=step, steps=20, pictures=pictures or (GREEN, GREEN))


def settled(publisher: Publisher) -> None:
    """Waits for a preview that is under way."""
    if thread := publisher._previews._thread:
        thread.join()


def told(plane, publisher: Publisher) -> list[str]:
    return [event for event in plane.store.told[publisher.job.id] if event.startswith("preview")]


def test_none_is_made_that_nobody_asked_for(engine, plane, sampler, monkeypatch):
    monkeypatch.setattr(sampler, "preview", None)

    assert not any(isinstance(event, PreviewReady) for event in engine.run(plane.job))


def test_a_job_that_asks_has_them_after_the_steps_that_they_show(engine, asking):
    events = [event for event in engine.run(asking(2, steps=6)) if isinstance(event, Progress | PreviewReady)]

    assert [event.step for event in events] == [1, 2, 2, 3, 4, 4, 5, 6]
    assert [event.step for event in events if isinstance(event, PreviewReady)] == [2, 4]


def test_a_preview_is_all_pictures_side_by_side(engine, asking):
    (preview,) = (event for event in engine.run(asking(1)) if isinstance(event, PreviewReady))

    picture = Image.open(io.BytesIO(sheet(preview.pictures)))
    assert (picture.format, picture.size) == ("JPEG", (72, 16))
    # The sampler's greens are 0, 40 and 80; JPEG is a few levels off.
    assert [picture.getpixel((x, 8))[1] for x in (4, 36, 68)] == pytest.approx([0, 40, 80], abs=8)


def handled(engine, plane, job) -> Publisher:
    """A job worked off by an engine, whose judge its publisher has too; each preview is waited for."""
    made = Publisher(job, plane.store, plane.storage, plane.sources, judge=engine.judge)
    for event in engine.run(made.job):
        made.handle(event)
        settled(made)
    return made


def test_what_is_not_allowed_is_not_shown_and_the_job_goes_on(plane, sampler, asking):
    engine = Engine(sampler, plane.declaration, revision="r", judge=Judge(judge))
    publisher = handled(engine, plane, asking(source="a cat fog"))

    assert told(plane, publisher) == []
    assert plane.store.get(publisher.job.id).status is JobStatus.SUCCEEDED


def test_a_hook_that_fails_over_a_preview_shows_none_of_it(plane, sampler, asking):
    def hook(material):
        if material.preview:
            raise RuntimeError

    publisher = handled(Engine(sampler, plane.declaration, revision="r", judge=Judge(hook)), plane, asking())

    assert told(plane, publisher) == []
    assert plane.store.get(publisher.job.id).status is JobStatus.SUCCEEDED


def test_every_picture_of_a_preview_is_judged_as_one(plane, sampler, asking):
    seen = []

    def hook(material):
        seen.append((material.preview, material.index, material.picture and material.picture.size))

    handled(Engine(sampler, plane.declaration, revision="r", judge=Judge(hook)), plane, asking(1))

    assert seen == [
        (False, None, None),
        *((True, index, (24, 16)) for index in range(3)),
        *((False, index, (48, 32)) for index in range(3)),
    ]


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError(), ValueError("no")])
def test_a_preview_that_cannot_be_made_is_left_out(plane, asking, error):
    class Breaking(PaintingSampler):
        def preview(self, step):
            raise error

    events = list(Engine(Breaking(), plane.declaration, revision="r").run(asking()))

    assert events[-1] == Finished()
    assert not any(isinstance(event, PreviewReady) for event in events)


def test_a_device_that_is_lost_over_a_preview_is_lost(plane, asking):
    class Breaking(PaintingSampler):
        def preview(self, step):
            raise torch.AcceleratorError("gone")

    with pytest.raises(DeviceLost):
        list(Engine(Breaking(), plane.declaration, revision="r").run(asking()))


def test_edits_that_are_made_one_after_the_other_have_none(asking, sampler):
    spec = asking().spec
    steps = [step for step in run_all(sampler, ways(spec, {})[-1], spec.seeds, {}) if hasattr(step, "clean")]

    assert len(steps) == 8
    assert {step.clean for step in steps} == {None}


def test_a_preview_is_stored_under_its_execution_and_then_told(plane, publisher):
    publisher.handle(ready())
    settled(publisher)

    key = f"jobs/{publisher.job.id}/{publisher.job.execution}/previews/0005.jpg"
    assert plane.storage.read(key) == sheet((GREEN, GREEN), source_type_of_job(publisher.job))
    assert told(plane, publisher) == [f"preview 5/20 {key}"]
    publisher.handle(Finished())
    assert plane.store.get(publisher.job.id).artifacts == ()


def test_of_what_is_not_allowed_nothing_is_stored_or_told_nor_anything_after_it(plane, publisher):
    for preview in (ready(5, GREEN, RED), ready(10)):
        publisher.handle(preview)
        settled(publisher)

    assert told(plane, publisher) == []
    assert plane.storage.places() == set()


def test_a_storage_that_fails_costs_the_previews_and_not_the_job(plane, publisher, monkeypatch):
    calls = []

    def put(*arguments):
        calls.append(arguments)
        raise StorageUnavailable("take it")

    with monkeypatch.context() as failing:
        failing.setattr(plane.storage, "put", put)
        for preview in (ready(5), ready(10)):
            publisher.handle(preview)
            settled(publisher)
    publisher.handle(Finished())

    assert len(calls) == 1
    assert plane.store.get(publisher.job.id).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("error", [redis.ConnectionError(), ValueError("no")])
def test_whatever_else_fails_costs_the_previews_and_not_the_job(plane, publisher, monkeypatch, error):
    make = plane.store.make

    def failing(move):
        if move.once:
            raise error
        return make(move)

    monkeypatch.setattr(plane.store, "make", failing)
    publisher.handle(ready())
    settled(publisher)
    publisher.handle(Finished())

    assert plane.store.get(publisher.job.id).status is JobStatus.SUCCEEDED


@pytest.fixture
def slow(plane, publisher, monkeypatch):
    """The publisher's storage takes a preview when it is let."""
    there = SimpleNamespace(reached=Event(), let=Event())
    put = plane.storage.put

    def waits(*arguments):
        there.reached.set()
        there.let.wait()
        put(*arguments)

    monkeypatch.setattr(plane.storage, "put", waits)
    yield there
    there.let.set()
    settled(publisher)


def test_a_preview_that_comes_while_another_is_under_way_is_passed_over(plane, publisher, slow):
    publisher.handle(ready(5))
    slow.reached.wait()
    publisher.handle(ready(10))
    slow.let.set()
    settled(publisher)
    publisher.handle(ready(15))
    settled(publisher)

    assert [event.split()[1] for event in told(plane, publisher)] == ["5/20", "15/20"]


@pytest.mark.parametrize("end", [Finished(), Failed(code="x", message="y")])
def test_after_the_end_of_a_job_no_preview_is_told(plane, publisher, slow, end):
    publisher.handle(ready())
    slow.reached.wait()
    publisher.handle(end)
    slow.let.set()
    settled(publisher)

    assert told(plane, publisher) == []


def test_an_execution_that_lost_its_job_tells_of_none(plane, publisher):
    plane.store.leases[publisher.job.id] = 0
    plane.store.make(moves.take_back(plane.store.get(publisher.job.id), max_attempts=3))

    publisher.handle(ready())
    settled(publisher)

    assert told(plane, publisher) == []
    # What it stored lies where the reaper looks, at once and again later.
    place = f"jobs/{publisher.job.id}/{publisher.job.execution}"
    assert {place, place + moves.AGAIN} <= plane.store.litter.keys()


def test_hooks_are_called_one_at_a_time(plane):
    busy, most = [], []

    def hook(material):
        busy.append(1)
        time.sleep(0.001)  # gives the others their turn
        most.append(len(busy))
        busy.pop()

    judged = Judge(hook)
    pictures = [Image.new("RGB", (4, 4))] * 10
    threads = [Thread(target=judged.allows_preview, args=(plane.job, pictures)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(most), set(most)) == (40, {1})
