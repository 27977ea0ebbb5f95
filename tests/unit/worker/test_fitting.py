"""A picture brought to the model's size, and back."""

import numpy as np
import pytest
from PIL import Image

from worker.fitting import MARGIN, fitted

SIZES = [(64, 64), (640, 480), (480, 640), (1, 500), (500, 1), (7, 5), (65, 64)]


def slope(size: tuple[int, int]) -> Image.Image:
    """Redder to the right, greener downwards: what is where can be seen."""
    width, height = size
    red, green = np.meshgrid(np.linspace(40, 220, width), np.linspace(40, 220, height))
    return Image.fromarray(np.stack([red, green, np.full_like(red, 90)], -1).round().astype(np.uint8))


@pytest.mark.parametrize("fit", ["cover", "contain"])
@pytest.mark.parametrize("size", SIZES)
def test_any_picture_comes_to_the_models_size_and_back_to_its_own(size, fit):
    picture = slope(size)

    model, fitting = fitted(picture, (64, 48), fit)
    back = fitting.back(model, picture)

    assert model.size == (64, 48)
    assert back.size == size


@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_a_picture_of_the_models_size_is_not_touched(fit):
    picture = slope((64, 48))

    model, fitting = fitted(picture, (64, 48), fit)

    assert np.array_equal(model, picture)
    assert np.array_equal(fitting.back(model, picture), picture)


def test_cover_takes_the_middle_and_leaves_the_rest_as_it_was():
    picture = slope((200, 100))

    _, fitting = fitted(picture, (32, 32), "cover")
    back = np.asarray(fitting.back(Image.new("RGB", (32, 32), (0, 0, 255)), picture))

    assert fitting.of_picture == (50, 0, 150, 100)
    assert np.all(back[:, 50:150] == (0, 0, 255))
    assert np.array_equal(back[:, :50], np.asarray(picture)[:, :50])
    assert np.array_equal(back[:, 150:], np.asarray(picture)[:, 150:])


def test_contain_shows_all_of_it_between_margins_and_takes_them_off_again():
    picture = slope((200, 100))

    model, fitting = fitted(picture, (32, 32), "contain")

    assert fitting.of_model == (0, 8, 32, 24)
    assert np.all(np.asarray(model)[:8] == MARGIN)
    assert np.all(np.asarray(model)[24:] == MARGIN)
    # A slope's middle levels come through both resamplings within a level or two; edges, where they ring, are left out.
    difference = np.abs(np.asarray(fitting.back(model, picture), int) - np.asarray(picture, int))
    assert difference[10:-10, 10:-10].max() <= 3


def test_what_is_not_edited_keeps_its_place():
    """A dot comes back where it was."""
    picture = Image.new("RGB", (300, 200))
    picture.paste((255, 255, 255), (180, 90, 200, 110))

    for fit in ("cover", "contain"):
        model, fitting = fitted(picture, (64, 64), fit)
        rows, columns = np.nonzero(np.asarray(fitting.back(model, picture).convert("L")) > 128)
        # The model's pixel is four of the picture's: its middle comes back to within one of these.
        assert abs(rows.mean() - 99.5) <= 4
        assert abs(columns.mean() - 189.5) <= 4
