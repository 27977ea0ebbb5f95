"""The border over which an edit of a part of a picture fades into the rest of it (`fit: cover`)."""

import numpy as np
import pytest
from PIL import Image

from worker.fitting import BORDER, fitting_of

GREY, SHIFTED = 120, 127
#: The widest shift of a background that was seen at an edge, in levels (`../shared/found/09_seam.py`).
SHIFT = SHIFTED - GREY

#: The picture's and the model's size, each (width, height): wide, tall, hardly another shape, tiny, upright models.
SHAPES = [
    ((96, 64), (64, 64)),
    ((64, 96), (64, 64)),
    ((4000, 3000), (512, 512)),
    ((3000, 4000), (512, 512)),
    ((2000, 200), (64, 64)),
    ((200, 2000), (64, 64)),
    ((66, 64), (64, 64)),
    ((640, 640), (64, 96)),
    ((640, 640), (96, 64)),
]


def shifted(size: tuple[int, int], model_size: tuple[int, int], fit: str = "cover"):
    """A grey picture whose edit is lighter everywhere, as levels (height, width), and how it was fitted."""
    fitting = fitting_of(size, model_size, fit)
    back = fitting.back(Image.new("RGB", model_size, (SHIFTED,) * 3), Image.new("RGB", size, (GREY,) * 3))
    return np.asarray(back, int)[..., 0], fitting


@pytest.mark.parametrize(("size", "model_size"), SHAPES)
def test_no_edge_shows_where_an_edit_shifts_the_background(size, model_size):
    back, fitting = shifted(size, model_size)

    side = min(fitting.of_picture[2] - fitting.of_picture[0], fitting.of_picture[3] - fitting.of_picture[1])
    # Half a cosine is at its steepest pi/2 times the straight line; rounding may add one level.
    steepest = SHIFT * np.pi / 2 / (side // BORDER + 1) + 1
    for axis in (0, 1):
        assert np.abs(np.diff(back, axis=axis)).max(initial=0) <= steepest


@pytest.mark.parametrize(("size", "model_size"), SHAPES)
def test_all_but_the_border_is_the_edit_and_what_the_model_did_not_see_is_the_picture(size, model_size):
    back, fitting = shifted(size, model_size)

    left, top, right, bottom = fitting.of_picture
    across, down = (right - left) // BORDER, (bottom - top) // BORDER
    inner = back[top + down : bottom - down, left + across : right - across]
    assert np.all(inner == SHIFTED)
    outside = np.ones(back.shape, bool)
    outside[top:bottom, left:right] = False
    assert np.all(back[outside] == GREY)


def test_there_is_no_border_where_the_part_ends_with_the_picture():
    wide, _ = shifted((96, 64), (64, 64))
    tall, _ = shifted((64, 96), (64, 64))

    assert np.all(wide[[0, -1], 24:72] == SHIFTED)
    assert np.all(tall[24:72, [0, -1]] == SHIFTED)


@pytest.mark.parametrize(("size", "fit"), [((64, 64), "cover"), ((640, 640), "cover"), ((96, 64), "contain")])
def test_a_picture_that_is_seen_whole_has_no_border(size, fit):
    back, _ = shifted(size, (64, 64), fit)

    assert np.all(back == SHIFTED)


def test_a_part_of_fewer_pixels_than_a_border_has_is_taken_as_it_is():
    back, _ = shifted((5, 500), (64, 64))

    assert np.all(back[247:252] == SHIFTED)
