"""How a picture is read as a mask, without the service."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from p2p.errors import UnsupportedMask
from p2p.mask_reading import by_alpha, by_colour, mask_of, read_by_default
from p2p.masks import bounds_of
from p2p.spec import LocalBlend
from tests import painted

#: Pillow's own conversion of 16-bit grey cuts off at 255; the service reads those files before (`decoding.pixels`).
BY_ALPHA = {way: data for way, data in painted.by_alpha().items() if "16-bit" not in way}
BY_COLOUR = {way: data for way, data in painted.by_colour().items() if "16-bit" not in way}
NAME = "img_" + "0" * 32


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def white(mask: Image.Image) -> np.ndarray:
    assert mask.mode == "L"
    return np.asarray(mask) == 255


@pytest.mark.parametrize("way", BY_ALPHA)
def test_an_alpha_channel_with_clear_and_painted_pixels_is_the_mask(way):
    assert np.array_equal(white(mask_of(picture(BY_ALPHA[way]))), painted.painted_box())


@pytest.mark.parametrize("way", BY_COLOUR)
def test_otherwise_the_strongest_colour_of_each_pixel_is(way):
    assert (white(mask_of(picture(BY_COLOUR[way]))) != painted.painted_box()).mean() < 0.02  # JPEG's edges


def test_a_stroke_of_half_opacity_counts_and_the_rim_of_a_brush_does_not():
    levels = Image.fromarray(np.array([[0, 30, 63, 64, 127, 255]], np.uint8))

    assert white(by_alpha(levels)).tolist() == [[False, False, False, True, True, True]]


def test_no_full_colour_is_taken_for_black():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 255), (128, 0, 0), (127, 127, 127), (0, 0, 0)]
    row = Image.fromarray(np.array([colours], np.uint8))

    assert white(by_colour(row)).tolist() == [[True, True, True, True, True, False, False]]


@pytest.mark.parametrize(("alpha", "read_by"), [(None, "colour"), (1, "colour"), (0, "alpha"), (1e-9, "alpha")])
def test_alpha_is_read_unless_it_is_painted_everywhere(alpha, read_by):
    assert read_by_default(alpha) == read_by


def test_the_library_reads_a_mask_as_the_service_does():
    blend = LocalBlend(mask={"upload": NAME})
    size = painted.SIZE[::-1]

    bound = bounds_of(blend, size, {NAME: picture(BY_ALPHA["black on clear"])})

    assert np.array_equal(bound.numpy(), painted.painted_box())
    asked = LocalBlend(mask={"upload": NAME, "read_by": "colour"})
    by_its_colour = bounds_of(asked, size, {NAME: picture(BY_ALPHA["black on clear"])})
    assert np.array_equal(by_its_colour.numpy(), ~painted.painted_box())  # laid on white
    turned = LocalBlend(mask={"upload": NAME, "read_by": "transparency"})
    clear = bounds_of(turned, size, {NAME: picture(BY_ALPHA["black on clear"])})
    assert np.array_equal(clear.numpy(), ~painted.painted_box())
    tensor = torch.from_numpy(painted.painted_box())
    assert torch.equal(bounds_of(asked, size, {NAME: tensor}), tensor)
    with pytest.raises(UnsupportedMask, match=f"{NAME}:colour"):
        bounds_of(asked, size, {})
