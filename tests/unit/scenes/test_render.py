"""One layout, many descriptions: what a description does not change stays where it was, to the pixel."""

import numpy as np
import pytest

from scenes.render import SIZE, Layout, draw
from scenes.world import PLACES, STYLES, Scene, Thing

pytestmark = pytest.mark.usefixtures("font")
CAT = Scene((Thing("cat"),), "beach")


def changed(before: Scene, after: Scene, layout: Layout) -> np.ndarray:
    """The pixels that differ outside the boxes of the things, whose whiskers are thinner than a mask's pixel."""
    one, other = draw(before, layout), draw(after, layout)
    differs = np.any(one.image != other.image, axis=-1)
    for mask in (*one.masks, *other.masks):
        rows, columns = np.nonzero(mask)
        differs[max(rows.min() - 4, 0) : rows.max() + 5, max(columns.min() - 4, 0) : columns.max() + 5] = False
    return differs


@pytest.mark.parametrize("seed", range(5))
def test_a_swapped_thing_changes_nothing_else(seed):
    assert not changed(CAT, Scene((Thing("house"),), "beach"), Layout.drawn(seed)).any()


@pytest.mark.parametrize("seed", range(5))
def test_a_tint_changes_the_thing_alone(seed):
    assert not changed(CAT, Scene((Thing("cat", "red"),), "beach"), Layout.drawn(seed)).any()


@pytest.mark.parametrize("seed", range(5))
def test_an_added_thing_moves_nothing(seed):
    both = Scene((Thing("cat"), Thing("tree")), "beach")

    assert not changed(CAT, both, Layout.drawn(seed, room=2)).any()


@pytest.mark.parametrize("after", [Scene((Thing("cat"),), "snow"), Scene((Thing("cat"),), "beach", "at night")])
def test_another_place_or_style_leaves_the_thing_where_it_was(after):
    layout = Layout.drawn(3)

    assert np.array_equal(draw(CAT, layout).masks[0], draw(after, layout).masks[0])


def test_the_same_seed_draws_the_same_picture():
    rain = Scene((Thing("cat"),), "beach", "in the rain")

    assert np.array_equal(draw(rain, Layout.drawn(4)).image, draw(rain, Layout.drawn(4)).image)
    assert not np.array_equal(draw(rain, Layout.drawn(4)).image, draw(rain, Layout.drawn(5)).image)


def test_a_mask_leaves_out_what_another_thing_hides():
    picture = draw(Scene((Thing("cat"), Thing("tree")), "beach"), Layout.drawn(0, room=1))

    assert not (picture.masks[0] & picture.masks[1]).any()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("style", [None, *STYLES])
def test_every_place_can_be_drawn_under_every_style(place, style):
    picture = draw(Scene((Thing("dog"),), place, style), Layout.drawn(1))

    assert picture.image.shape == (SIZE, SIZE, 3)
    assert picture.image.std() > 5
