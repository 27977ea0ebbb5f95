"""A photo of which an edit shows a part: the rest is the photo, at its own size."""

import io

import numpy as np
import pytest
from PIL import Image

from worker.fitting import fitting_of
from worker.photo import Photo
from worker.results import mask_artifact

SIZES = [((64, 64), "cover"), ((97, 64), "cover"), ((640, 480), "cover"), ((97, 64), "contain"), ((30, 200), "contain")]


def soft(size: int = 64) -> np.ndarray:
    """A mask of the model's size: a disc with a soft edge."""
    rows, columns = np.mgrid[:size, :size]
    return np.clip((size / 5 - np.hypot(rows - size / 2, columns - size / 2)) / 4, 0, 1).astype(np.float32)


def noise(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize(("size", "fit"), SIZES)
def test_where_the_mask_artifact_is_black_the_picture_is_the_photo(size, fit):
    fitting, whole, mask = fitting_of(size, (64, 64), fit), noise(size), soft()
    photo = Photo(whole=whole, picture=fitting.seen(whole), fitting=fitting)
    shown = Image.fromarray((255 * mask).round().astype(np.uint8))

    back = np.asarray(photo.back(Image.new("RGB", (64, 64), (200, 10, 10)), shown=shown))
    black = np.asarray(Image.open(io.BytesIO(mask_artifact(1, mask, fitting).data))) == 0

    assert black.any()
    assert not black.all()
    assert np.array_equal(back[black], np.asarray(whole)[black])


@pytest.mark.parametrize(("size", "fit"), SIZES)
def test_where_the_mask_is_white_the_picture_is_the_edit(size, fit):
    fitting, mask = fitting_of(size, (64, 64), fit), soft()
    photo = Photo(whole=noise(size), picture=fitting.seen(noise(size)), fitting=fitting)
    shown = Image.fromarray((255 * mask).round().astype(np.uint8))

    back = np.asarray(photo.back(Image.new("RGB", (64, 64), (200, 10, 10)), shown=shown))

    assert (back[size[1] // 2, size[0] // 2] == (200, 10, 10)).all()


def test_a_soft_mask_keeps_its_greys():
    fitting = fitting_of((64, 64), (64, 64))
    found = np.asarray(Image.open(io.BytesIO(mask_artifact(1, soft(), fitting).data)))

    assert np.array_equal(found, (255 * soft()).round().astype(np.uint8))
