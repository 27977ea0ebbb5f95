"""The files that a run leaves behind."""

import io

import numpy as np
import pytest
from PIL import Image

from p2p.edit import WordMap
from worker.fitting import fitting_of
from worker.heatmaps import heatmap, inferno
from worker.results import mask_artifact, raw_maps


def test_raw_maps_are_readable_without_pickle():
    maps = ((WordMap("a", 1, (1,), np.eye(4, dtype=np.float32)), WordMap("你", 1, (2,), np.ones((4, 4)))),)

    with np.load(io.BytesIO(raw_maps((*maps, *maps))), allow_pickle=False) as arrays:
        assert sorted(arrays) == ["edit-1", "edit-1.words", "source", "source.words"]
        assert (arrays["source"].shape, arrays["source"].dtype) == ((2, 4, 4), np.float32)
        assert arrays["edit-1.words"].tolist() == ["a", "你"]
        assert np.array_equal(arrays["source"][0], np.eye(4))


@pytest.mark.parametrize(
    ("picture", "drawn"),
    [
        ((64, 64), (256, 256)),
        ((48, 32), (384, 256)),
        ((512, 768), (512, 768)),
        ((600, 10), (600, 10)),
        ((64, 300), (192, 900)),
    ],
)
def test_small_pictures_are_drawn_at_a_multiple_of_their_size(picture, drawn):
    assert heatmap(np.eye(16, dtype=np.float32), Image.new("RGB", picture)).size == drawn


def test_a_heat_map_is_brightest_where_the_word_acted_most():
    word = np.zeros((16, 16), dtype=np.float32)
    word[2, 12] = 1e-4

    light = np.asarray(heatmap(word, Image.new("RGB", (64, 64), (128, 128, 128))).convert("L"))

    row, column = np.unravel_index(light.argmax(), light.shape)
    assert (row // 16, column // 16) == (2, 12)


def test_a_map_without_contrast_is_dark_everywhere():
    pixels = np.asarray(heatmap(np.full((4, 4), 0.3, dtype=np.float32), Image.new("RGB", (64, 64))))

    assert pixels.max() < 20


def test_the_colours_get_brighter_all_the_way():
    light = inferno(np.linspace(0, 1, 256)) @ np.array([0.299, 0.587, 0.114])

    assert np.all(np.diff(light) > 0)


def test_a_mask_is_white_where_the_picture_was_let_change_and_of_its_size():
    mask = np.zeros((2, 2), dtype=bool)
    mask[0, 1] = True
    artifact = mask_artifact(1, mask, fitting_of((8, 4), (8, 4)))
    pixels = np.asarray(Image.open(io.BytesIO(artifact.data)))

    assert (artifact.name, artifact.kind, artifact.picture) == ("masks/edit-1.png", "mask", 1)
    assert pixels.shape == (4, 8)
    assert (pixels[:2, 4:] == 255).all()
    assert pixels.sum() == 255 * 8
