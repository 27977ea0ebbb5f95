"""A picture brought to the model's size, and back."""

import numpy as np
import pytest
from PIL import Image

from worker.fitting import MARGIN, Fitting, fitting_of

SIZES = [(64, 64), (640, 480), (480, 640), (1, 500), (500, 1), (7, 5), (65, 64)]


def fitted(picture: Image.Image, model_size: tuple[int, int], fit: str) -> tuple[Image.Image, Fitting]:
    fitting = fitting_of(picture.size, model_size, fit)
    return fitting.seen(picture), fitting


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
    # An eighth of the part's side at either end is its border (`test_border.py`).
    assert np.all(back[:, 62:138] == (0, 0, 255))
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


def mask_of(size: tuple[int, int], *box: int) -> Image.Image:
    """Black, and white in a box."""
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


@pytest.mark.parametrize("fit", ["cover", "contain"])
@pytest.mark.parametrize("scale", [1, 2, 0.5])
def test_a_mask_lies_over_what_the_model_sees_as_it_lay_over_the_picture_at_any_resolution(fit, scale):
    picture = Image.new("RGB", (300, 200))
    picture.paste((255, 255, 255), (120, 60, 180, 140))
    mask = mask_of((round(300 * scale), round(200 * scale)), *(round(side * scale) for side in (120, 60, 180, 140)))

    model, fitting = fitted(picture, (64, 64), fit)

    apart = (np.asarray(fitting.mask_seen(fitting.whole_mask(mask))) >= 128) != (np.asarray(model.convert("L")) >= 170)
    # A pixel of the model's is three or five of the picture's: it may go to either side along the mask's edge.
    assert apart.mean() < 0.02


def test_margins_may_not_change():
    _, fitting = fitted(slope((200, 100)), (32, 32), "contain")

    seen = np.asarray(fitting.mask_seen(Image.new("L", (200, 100), 255)))

    assert np.all(seen[:8] == 0)
    assert np.all(seen[24:] == 0)
    assert np.all(seen[8:24] == 255)


def test_a_mask_comes_back_in_the_pictures_size_and_black_where_the_model_did_not_see_it():
    _, fitting = fitted(slope((200, 100)), (32, 32), "cover")

    back = np.asarray(fitting.mask_back(mask_of((16, 16), 0, 0, 8, 16)))

    assert back.shape == (100, 200)
    assert np.all(back[:, 50:100] == 255)
    assert np.all(back[:, :50] == 0)
    assert np.all(back[:, 100:] == 0)


@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_a_map_lies_over_the_picture_where_it_lay_over_what_the_model_saw(fit):
    picture = Image.new("RGB", (300, 200))
    picture.paste((255, 255, 255), (180, 90, 200, 110))
    model, fitting = fitted(picture, (64, 64), fit)
    seen = np.asarray(model.convert("L").resize((16, 16), Image.Resampling.BOX), np.float32)

    back = fitting.map_back(seen, (150, 100))

    row, column = np.unravel_index(back.argmax(), back.shape)
    # A cell of the map is four of the model's pixels, and seven or ten of those that are drawn.
    assert abs(row - 50) <= 5
    assert abs(column - 95) <= 5
    assert back.shape == (100, 150)
    assert (back.min(), back.max()) == (seen.min(), pytest.approx(seen.max(), rel=0.1))


def test_a_map_of_all_of_the_picture_is_left_as_it_is():
    values = np.eye(16, dtype=np.float32)

    assert fitting_of((32, 32), (64, 64)).map_back(values, (32, 32)) is values
