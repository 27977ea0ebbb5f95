"""How photos of another shape are measured: the border of the part that was edited."""

from types import SimpleNamespace

import numpy as np
from PIL import Image

from benchmarks.quality.photos import BESIDE, extra_step, returned, wider
from scenes.render import SIZE

GREY = np.full((SIZE, SIZE, 3), 100, np.uint8)


def edited(mask) -> np.ndarray:
    white = Image.new("RGB", (SIZE, SIZE), "white")
    (image,) = returned(SimpleNamespace(images=[None, white], masks=[mask]), wider(GREY))
    return image


def test_a_step_at_the_border_is_counted_in_grey_levels():
    pasted = wider(GREY)
    pasted[:, BESIDE:-BESIDE] += 6

    assert extra_step(pasted, wider(GREY)) == 6
    assert extra_step(wider(GREY), wider(GREY)) == 0


def test_a_step_that_the_photo_has_itself_is_none_of_the_edits():
    photo = wider(GREY)
    photo[:, :BESIDE] = 0

    assert extra_step(photo, photo) == 0


def test_what_comes_back_is_the_photo_outside_the_mask():
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[20:30, 20:30] = 1

    image = edited(mask)

    changed = (image != wider(GREY)).any(-1)
    assert changed[20:30, BESIDE + 20 : BESIDE + 30].all()
    assert changed.sum() == 100
    assert extra_step(image, wider(GREY)) == 0
