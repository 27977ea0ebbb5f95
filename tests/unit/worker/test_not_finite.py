"""A job whose model computes what is no number fails as that, and never succeeds with black pictures."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.catalogue import load_catalogue
from jobs.images import image_key
from p2p.families.base import ModelFamily
from tests import families
from tests.unit.p2p.test_finite import overflowing, spoilt
from tests.unit.worker.test_fitting import slope
from tests.unit.worker.test_photo import UPLOAD, photo_spec
from worker.encoding import ENCODINGS, encoded
from worker.engine import Engine
from worker.events import ArtifactReady, Failed, PreviewReady
from worker.sampler import ModelSampler

pytestmark = pytest.mark.needs("latents")


@pytest.fixture
def run(plane, tiny_models):
    """The events of the plane's job, or of another spec, on a model."""

    def ran(family: ModelFamily, spec=None) -> list:
        job = plane.job if spec is None else plane.job.model_copy(update={"spec": spec})
        engine = Engine(ModelSampler(family), load_catalogue(tiny_models)["tiny"], revision="sha256:0")
        photo = encoded(slope((32, 32)), ENCODINGS["png"])
        return list(engine.run(job, fetch=lambda key: {image_key(UPLOAD): photo}[key]))

    return ran


DAMAGED = {
    "unet": ("unet", "conv_in"),
    "text encoder": ("text_encoder", "encoder", "layers", "0", "layer_norm1"),
    "decoder": ("vae", "decoder", "conv_out"),
}


@pytest.mark.parametrize("part", DAMAGED.values(), ids=DAMAGED)
def test_a_job_on_damaged_weights_fails_as_not_finite_and_leaves_no_picture(run, build, part):
    events = run(spoilt(*part, build=build))

    assert [type(event) for event in events if isinstance(event, ArtifactReady | Failed)] == [Failed]
    assert (events[-1].code, "weights are damaged" in events[-1].message) == ("not_finite", True)


@pytest.mark.parametrize("part", [*DAMAGED.values(), ("vae", "encoder", "conv_in")])
def test_a_photos_job_on_damaged_weights_fails_as_not_finite(run, build, part):
    events = run(spoilt(*part, build=build), photo_spec("a dog"))

    assert (type(events[-1]), events[-1].code) == (Failed, "not_finite")


def test_a_job_whose_decoder_overflows_has_its_pictures(run, build):
    events = run(overflowing("decoder", build=build))

    pictures = [event for event in events if isinstance(event, ArtifactReady) and event.kind == "image"]
    assert len(pictures) == 3
    assert all(np.asarray(Image.open(BytesIO(picture.data))).std() > 0 for picture in pictures)


def test_previews_that_are_no_numbers_are_left_out_and_the_job_goes_on(plane, run, build, monkeypatch):
    family = families.of(build())
    monkeypatch.setattr(
        "p2p.samplers.gaussian.GaussianSampler.clean", lambda *_: torch.full((3, 4, 16, 24), float("nan"))
    )
    spec = plane.job.spec.model_copy(
        update={"artifacts": plane.job.spec.artifacts.model_copy(update={"previews": 2, "heatmaps": False})}
    )

    events = run(family, spec)

    assert not any(isinstance(event, PreviewReady | Failed) for event in events)
    assert any(isinstance(event, ArtifactReady) for event in events)
