"""What a job leaves behind on a tiny model of each family, and what it leaves in the model: nothing."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from p2p.spec import EditSpec
from p2p.tokens import tokenize
from p2p.trajectory_file import loaded
from tests import families
from worker.engine import Engine
from worker.events import ArtifactReady, Failed, Finished, PreviewReady, Progress
from worker.sampler import ModelSampler

pytestmark = pytest.mark.needs("jobs")
SIDE, STEPS = 32, 4
SPEC = {
    "model": "tiny",
    "source": {"prompt": "a cat on a beach"},
    "targets": [
        {
            "prompt": "a dog on a beach",
            "edits": [{"kind": "replace"}],
            "local_blend": {"words": [{"word": "dog"}], "start": 0},
        },
        {
            "prompt": "a cat on a red beach",
            "edits": [{"kind": "refine"}, {"kind": "reweight", "weights": [{"word": "red", "weight": 3}]}],
        },
    ],
    "sampling": {"seed": 5, "steps": STEPS, "guidance_scale": 3.0, "height": SIDE, "width": SIDE},
    "artifacts": {"previews": 2, "trajectory": True},
}


@pytest.fixture(scope="module")
def family(build):
    return families.of(build())


@pytest.fixture
def run(plane, family):
    """The events of a job on the family's model."""

    def ran(spec: EditSpec, model=family, find=lambda source: None):
        engine = Engine(ModelSampler(model), plane.declaration, revision="sha256:0")
        return engine.run(plane.job.model_copy(update={"spec": spec}), find)

    return ran


@pytest.fixture
def files(run):
    """The files of a job by their names."""

    def of(spec: EditSpec, **how) -> dict[str, bytes]:
        events = list(run(spec, **how))
        assert isinstance(events[-1], Finished), events[-1]
        return {event.name: event.data for event in events if isinstance(event, ArtifactReady)}

    return of


def asked(**changes) -> EditSpec:
    return EditSpec.model_validate(SPEC | changes)


def pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def test_a_job_has_its_pictures_maps_mask_source_and_manifest(files, family):
    made = files(asked())

    words = ("a", "cat", "on", "a", "beach")
    assert [name for name in made if name.startswith("heatmaps/source")] == [
        f"heatmaps/source-{place:02d}-{word}.png" for place, word in enumerate(words)
    ]
    assert {pixels(made[f"{name}.png"]).shape for name in ("source", "edit-1", "edit-2")} == {(SIDE, SIDE, 3)}
    assert not np.array_equal(pixels(made["source.png"]), pixels(made["edit-2.png"]))
    mask = pixels(made["masks/edit-1.png"])
    assert (mask.shape, mask.dtype) == ((SIDE, SIDE), np.uint8)
    kept = mask == 0  # its edge is soft
    assert np.array_equal(pixels(made["edit-1.png"])[kept], pixels(made["source.png"])[kept])
    assert loaded(made["trajectory.safetensors"]).latents.shape == (STEPS, *family.latent_shape(SIDE, SIDE))
    with np.load(io.BytesIO(made["maps.npz"])) as maps:
        cells = family.latent_shape(SIDE, SIDE)[-1] // family.map_factor
        assert maps["source"].shape == (len(words), cells, cells)
        assert maps["edit-2.words"].tolist() == ["a", "cat", "on", "a", "red", "beach"]
    manifest = json.loads(made["manifest.json"])
    own = family.sampler(STEPS, None, family.latent_shape(SIDE, SIDE)).name
    assert (manifest["seed"], manifest["scheduler"], manifest["source"]) == (5, own, "generated")
    tokens = tokenize("a cat on a red beach", family.tokenizer).named("red")  # T5 has no start token
    assert manifest["prompts"][2]["words"][4] == {"word": "red", "occurrence": 1, "tokens": [*tokens]}


def test_previews_come_between_the_steps_with_a_picture_of_each_row(run, family):
    events = [event for event in run(asked()) if isinstance(event, Progress | PreviewReady)]

    steps = [event.step for event in events]
    larger = family.finishing(SIDE, SIDE).steps
    # Where pictures are made larger, the last preview is the small picture, after its last step.
    assert steps[:6] == ([1, 2, 2, 3, 4, 4] if larger else [1, 1, 2, 3, 3, 4])
    assert steps[6:] == [*range(STEPS + 1, STEPS + larger + 1)]
    assert {event.steps for event in events} == {STEPS + larger}
    previews = [event for event in events if isinstance(event, PreviewReady)]
    assert [len(preview.pictures) for preview in previews] == [3, 3]
    assert all(np.asarray(picture).std() > 0 for preview in previews for picture in preview.pictures)


def test_an_edit_of_a_source_that_was_kept_in_a_file_is_the_edit(files):
    fresh = files(asked())
    again = files(asked(), find=lambda source: loaded(fresh["trajectory.safetensors"]))

    assert json.loads(again["manifest.json"])["source"] == "kept"
    for name in ("source.png", "edit-1.png", "edit-2.png"):
        # Fewer rows choose other kernels, which round differently: a level of 256 may tip.
        assert np.abs(pixels(again[name]).astype(int) - pixels(fresh[name])).max() <= 1


def test_a_job_that_is_left_between_two_steps_leaves_nothing_in_the_model(run, files, build):
    events = run(asked(), model=(model := families.of(build())))
    while not isinstance(event := next(events), Progress):
        assert not isinstance(event, Failed)
    events.close()

    after, fresh = files(asked(), model=model), files(asked())
    assert all(after[name] == fresh[name] for name in after if name.endswith(".png"))
