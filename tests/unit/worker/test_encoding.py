"""Pictures as files of the format that was asked for."""

import io

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from jobs.storage import content_type_of
from p2p.spec import Artifacts
from worker.encoding import ENCODINGS, encoded
from worker.events import ArtifactReady


@pytest.fixture
def picture() -> Image.Image:
    """Smooth, with one hard edge of colour."""
    ramp = np.tile(np.arange(64, dtype=np.uint8)[:, None] * 3, (1, 64))
    blue = np.where(np.arange(64) < 32, 40, 220).astype(np.uint8) * np.ones((64, 1), np.uint8)
    return Image.fromarray(np.stack([ramp, ramp.T, blue], axis=-1))


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_picture_is_read_back_as_what_it_was(picture, name):
    read = Image.open(io.BytesIO(encoded(picture, ENCODINGS[name])))

    assert (read.format, read.size, read.mode) == (ENCODINGS[name].pillow, (64, 64), "RGB")
    off = np.abs(np.asarray(read, dtype=int) - np.asarray(picture)).mean()
    # Measured on this picture: 0, 0.57 and 1.67 of 255 levels on average; at quality 70 it is 1.07 and 2.72.
    assert off <= {"png": 0, "jpeg": 0.7, "webp": 2}[name]


def test_the_qualities_are_those_that_the_description_states(picture):
    said = Artifacts.model_fields["format"].description

    assert f"jpeg is of quality {ENCODINGS['jpeg'].options['quality']}" in said
    assert f"webp of quality {ENCODINGS['webp'].options['quality']}" in said
    assert JpegImagePlugin.get_sampling(Image.open(io.BytesIO(encoded(picture, ENCODINGS["jpeg"])))) == 0  # 4:4:4


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_the_api_serves_a_file_as_what_the_worker_stored(encoding):
    assert content_type_of(f"jobs/a/b/source{encoding.suffix}") == encoding.content_type


def test_only_the_pictures_of_a_job_are_of_its_format(engine, plane):
    artifacts = plane.job.spec.artifacts.model_copy(update={"format": "webp"})
    job = plane.job.model_copy(update={"spec": plane.job.spec.model_copy(update={"artifacts": artifacts})})

    files = [event for event in engine.run(job) if isinstance(event, ArtifactReady)]

    pictures = [(file.name, file.content_type) for file in files if file.kind == "image"]
    assert pictures == [(f"{name}.webp", "image/webp") for name in ("source", "edit-1", "edit-2")]
    assert {file.content_type for file in files if file.kind == "heatmap"} == {"image/png"}
    assert Image.open(io.BytesIO(files[0].data)).format == "WEBP"
