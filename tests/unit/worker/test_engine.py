"""The engine turns a run into events, and whatever goes wrong in it into one."""

import json

import pytest
import torch

from p2p.errors import UnsupportedSize
from tests.unit.worker.conftest import KEPT, PaintingSampler
from worker.engine import Engine
from worker.events import ArtifactReady, Drawn, Failed, Finished, Progress, Started


def test_a_run_is_started_steps_artifacts_finished(engine, plane):
    events = list(engine.run(plane.job))

    kinds = list(dict.fromkeys(type(event) for event in events))
    assert kinds == [Started, Progress, Drawn, ArtifactReady, Finished]
    assert [event.step for event in events if isinstance(event, Progress)] == [1, 2, 3, 4]


def test_every_picture_and_every_word_of_it_becomes_a_file(engine, plane):
    files = [event for event in engine.run(plane.job) if isinstance(event, ArtifactReady)]

    assert [file.name for file in files] == [
        "source.png",
        "edit-1.png",
        "edit-2.png",
        "heatmaps/source-00-a.png",
        "heatmaps/source-01-cat.png",
        "heatmaps/source-02-on.png",
        "heatmaps/source-03-a-b.png",
        "heatmaps/edit-1-00-a.png",
        "heatmaps/edit-1-01-dog.png",
        "heatmaps/edit-1-02-on.png",
        "heatmaps/edit-1-03-a-b.png",
        "heatmaps/edit-2-00-a.png",
        "heatmaps/edit-2-01-cat.png",
        "heatmaps/edit-2-02-on.png",
        "heatmaps/edit-2-03-a-b.png",
        "heatmaps/edit-2-04-at.png",
        "heatmaps/edit-2-05-word.png",
        "maps.npz",
        "manifest.json",
    ]
    assert [file.word for file in files if file.picture == 2 and file.kind == "heatmap"][-1] == "你好"


def test_only_the_artifacts_that_were_asked_for_are_made(engine, plane):
    wanted = plane.job.spec.artifacts.model_copy(update={"heatmaps": False, "raw_maps": False})
    job = plane.job.model_copy(update={"spec": plane.job.spec.model_copy(update={"artifacts": wanted})})

    files = [event.name for event in engine.run(job) if isinstance(event, ArtifactReady)]

    assert files == ["source.png", "edit-1.png", "edit-2.png", "manifest.json"]


def test_the_manifest_says_what_is_needed_to_do_it_again(engine, plane):
    (*_, file) = (event for event in engine.run(plane.job) if isinstance(event, ArtifactReady))

    manifest = json.loads(file.data)
    assert manifest["model"] == {"id": "tiny", "family": "stable_diffusion", "revision": "sha256:0123"}
    assert manifest["spec"] == plane.job.spec.model_dump(mode="json")
    assert manifest["seed"] == 5
    assert manifest["scheduler"] == "ddim"
    assert manifest["prompts"][1]["words"][1] == {"word": "dog", "occurrence": 1, "tokens": [2]}
    assert manifest["seconds"]["denoise"] == 2.0
    assert "pictures" in manifest["seconds"]  # writing them as files
    assert {"python", "torch", "diffusers"} <= manifest["versions"].keys()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnsupportedSize("32x48 is too small: ask for 64x64"), "unsupported_size"),
        (ValueError("secret"), "internal_error"),
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError(), "out_of_memory"),
    ],
)
def test_whatever_goes_wrong_in_a_run_ends_it_as_failed(plane, error, code):
    class Breaking(PaintingSampler):
        def steps(self, spec, kept, masks):
            raise error

    events = list(Engine(Breaking(), plane.declaration, revision="r").run(plane.job))

    assert events[0] == Started()
    assert isinstance(events[1], Failed)
    assert events[1].code == code
    assert "secret" not in events[1].message
    assert len(events) == 2


@pytest.mark.parametrize(("alone", "source"), [(False, KEPT), (True, None)])
def test_a_job_that_runs_alone_uses_no_kept_source(engine, plane, sampler, alone, source):
    sampling = plane.job.spec.sampling.model_copy(update={"alone": alone})
    job = plane.job.model_copy(update={"spec": plane.job.spec.model_copy(update={"sampling": sampling})})

    list(engine.run(job, find=lambda digest: KEPT))

    assert sampler.started_from == [source]
