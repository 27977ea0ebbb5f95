"""Where the edits of a job do not fit into memory at once, they are made one after the other."""

import torch

from p2p.edit import EditResult
from p2p.families.stable_diffusion import StableDiffusion
from service.jobs.events import ArtifactReady, Failed, Finished, Progress
from tests import tiny
from tests.unit.worker.conftest import PaintingSampler
from worker.apart import edited_apart
from worker.engine import Engine
from worker.sampler import ModelSampler


class Cramped(PaintingSampler):
    """Has memory for so many edits at once."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def steps(self, spec, kept):
        if len(spec.targets) > self._room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from super().steps(spec, kept)


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


def test_edits_made_apart_are_the_edits_made_together(plane):
    sampler = ModelSampler(StableDiffusion(tiny.pipeline()))
    (together,) = (o for o in sampler.steps(plane.job.spec, None) if isinstance(o, EditResult))
    (apart,) = (o for o in edited_apart(sampler, plane.job.spec, None) if isinstance(o, EditResult))

    # rows of a batch are sums in another order (docs/attention.md)
    torch.testing.assert_close(apart.latents, together.latents, rtol=1e-4, atol=1e-4)
    assert [p.prompt for p in apart.prompts] == [p.prompt for p in together.prompts]
    assert [len(maps) for maps in apart.maps] == [len(maps) for maps in together.maps]
