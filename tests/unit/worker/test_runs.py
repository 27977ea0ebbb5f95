"""A job's runs: everything at once, or where that does not fit into memory, one after the other."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from jobs.model import Job
from p2p.stepping import made_of, result_of
from tests import families
from tests.unit.worker.conftest import KEPT, PaintingSampler, source_of
from worker.engine import Engine
from worker.events import ArtifactReady, Failed, Finished, Progress
from worker.runs import run_all, ways
from worker.sampler import ModelSampler

pytestmark = pytest.mark.needs("latents")


class Cramped(PaintingSampler):
    """Has memory for so many edits at once."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def steps(self, spec, kept, masks):
        if len(spec.targets) * len(spec.seeds) > self._room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return (yield from super().steps(spec, kept, masks))


class Enlarging(PaintingSampler):
    """Makes the pictures of each seed larger afterwards, in three steps."""

    def steps(self, spec, kept, masks):
        finishing, last = 3 * len(spec.seeds), []

        def counted(step):
            last[:] = [replace(step, finishing=finishing)]
            return last

        results = yield from made_of(super().steps(spec, kept, masks), counted)
        for finished in range(1, finishing + 1):
            yield replace(last[0], finished=finished, clean=None)
        return results


def test_however_a_job_is_divided_its_steps_are_counted_through_to_the_last(plane):
    spec = plane.job.spec
    sampling = spec.sampling.model_copy(update={"seed": None, "seeds": (5, 6)})
    spec = spec.model_copy(update={"sampling": sampling})
    for runs in ways(spec, {6: replace(KEPT, key=source_of(6))}):
        steps = list(run_all(Enlarging(), runs, spec.seeds, {}))

        larger = 3 * sum(len(part.seeds) for part, _ in runs)
        assert [step.index + 1 + step.finished for step in steps] == [*range(1, 4 * len(runs) + larger + 1)]
        assert {step.num_steps + step.finishing for step in steps} == {4 * len(runs) + larger}


def test_a_job_that_does_not_fit_is_made_edit_by_edit(plane):
    events = list(Engine(Cramped(1), plane.declaration, revision="x").run(plane.job))

    assert isinstance(events[-1], Finished)
    images = [event.name for event in events if isinstance(event, ArtifactReady) and event.kind == "image"]
    assert images == ["source.png", "edit-1.png", "edit-2.png"]
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert (last.step, last.steps) == (8, 8)


def test_a_job_that_does_not_fit_even_so_fails(plane):
    events = list(Engine(Cramped(0), plane.declaration, revision="x").run(plane.job))

    assert isinstance(events[-1], Failed)
    assert events[-1].code == "out_of_memory"


@pytest.mark.parametrize(("gives", "steps"), [(2, 4), (1, 8)])
def test_a_job_that_does_not_fit_has_other_models_leave_before_it_is_made_in_parts(plane, gives, steps):
    sampler, others = Cramped(0), ["other"]

    def make_room() -> bool:
        sampler._room = gives
        return bool(others) and bool(others.pop())

    engine = Engine(sampler, plane.declaration, revision="x", make_room=make_room)
    events = list(engine.run(plane.job))

    assert isinstance(events[-1], Finished)
    assert [event.steps for event in events if isinstance(event, Progress)] == [steps] * steps


def test_a_job_for_which_the_room_of_all_other_models_is_too_little_fails(plane):
    others = ["other"]
    engine = Engine(Cramped(0), plane.declaration, revision="x", make_room=lambda: bool(others) and bool(others.pop()))

    events = list(engine.run(plane.job))

    assert (others, events[-1].code) == ([], "out_of_memory")


def test_edits_made_apart_are_the_edits_made_together(plane, build):
    sampler = ModelSampler(families.of(build()))
    at_once, one_by_one = ways(plane.job.spec, {})
    (together,) = result_of(run_all(sampler, at_once, plane.job.spec.seeds, {}))
    (apart,) = result_of(run_all(sampler, one_by_one, plane.job.spec.seeds, {}))

    # rows of a batch are sums in another order (docs/attention.md)
    torch.testing.assert_close(apart.latents, together.latents, rtol=1e-4, atol=1e-4)
    assert [p.prompt for p in apart.prompts] == [p.prompt for p in together.prompts]
    assert [len(maps) for maps in apart.maps] == [len(maps) for maps in together.maps]


def of_seeds(job: Job, *seeds: int) -> Job:
    return job.model_copy(update={"spec": job.spec.of_seeds(*seeds)})


@pytest.mark.parametrize(("room", "runs"), [(6, 1), (5, 3), (2, 3), (1, 6)])
def test_several_seeds_share_a_run_or_have_one_each_or_one_an_edit(plane, room, runs):
    """Three seeds of two edits; four steps a run, all of which count as the job's progress."""
    events = list(Engine(Cramped(room), plane.declaration, revision="x").run(of_seeds(plane.job, 7, 1, 9)))

    images = [event for event in events if isinstance(event, ArtifactReady) and event.kind == "image"]
    assert [(image.seed, image.picture) for image in images] == [(s, p) for s in (7, 1, 9) for p in (0, 1, 2)]
    assert [image.name for image in images][:4] == [
        "seed-7/source.png",
        "seed-7/edit-1.png",
        "seed-7/edit-2.png",
        "seed-1/source.png",
    ]
    steps = [(event.step, event.steps) for event in events if isinstance(event, Progress)]
    assert steps[-4 * runs :] == [(number, 4 * runs) for number in range(1, 4 * runs + 1)]


def test_a_seed_whose_source_is_kept_runs_by_itself_and_stands_where_it_was_asked_for(plane, sampler):
    kept = replace(KEPT, key=source_of(1))
    engine = Engine(sampler, plane.declaration, revision="x")

    events = list(engine.run(of_seeds(plane.job, 7, 1, 9), {kept.key: kept}.get))

    assert sampler.ran == [((7, 9), None), ((1,), kept)]
    *_, manifest, _ = events
    assert json.loads(manifest.data)["seeds"] == [
        {"seed": 7, "source": "generated"},
        {"seed": 1, "source": "kept"},
        {"seed": 9, "source": "generated"},
    ]
    assert [event.seed for event in events if isinstance(event, ArtifactReady) and event.kind == "maps"] == [7, 1, 9]


def test_the_pictures_of_a_seed_are_those_of_a_job_with_that_seed_alone(plane, build):
    sampler = ModelSampler(families.of(build()))
    spec = plane.job.spec.of_seeds(7, 1, 9)
    together = result_of(run_all(sampler, ways(spec, {})[0], spec.seeds, {}))

    for seed, result in zip(spec.seeds, together, strict=True):
        (alone,) = result_of(run_all(sampler, ways(spec.of_seeds(seed), {})[0], (seed,), {}))
        assert result.seed == alone.seed == seed
        # What shares the batch changes a job by rounding alone (docs/attention.md).
        torch.testing.assert_close(result.latents, alone.latents, rtol=1e-4, atol=1e-4)
        for one, other in zip(result.images, alone.images, strict=True):
            # Rounding, which may tip a level of 256.
            assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1
    assert not np.array_equal(np.asarray(together[0].images[0]), np.asarray(together[1].images[0]))
