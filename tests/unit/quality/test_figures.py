"""What the fader is measured by, on drawings whose answer is known."""

import numpy as np
import pytest

from benchmarks.figures.fader import purple, rain
from benchmarks.figures.sheet import CELL, Cell, curves, heat, sheet
from scenes.render import Layout, draw
from scenes.world import Scene, Thing

pytestmark = pytest.mark.usefixtures("font")


def drawn(tint: str | None = None, style: str | None = None):
    picture = draw(Scene((Thing("cat", tint),), "grass", style), Layout.drawn(1))
    return picture.image, picture.masks[0]


def test_rain_is_measured_where_it_falls():
    assert rain(*drawn()) < 0.005
    # 26 drops of 7 pixels, fewer where they cross the thing or each other: 4 % of the picture.
    assert 0.02 < rain(*drawn(style="in the rain")) < 0.06


def test_a_tint_is_measured_by_its_direction():
    assert purple(*drawn("purple")) > 0.5
    assert purple(*drawn()) < 0  # cats are yellow, which lies the other way


def test_a_map_is_shown_by_its_own_maximum():
    map_ = np.zeros((16, 16), np.float32)
    map_[4, 4] = 0.001

    assert np.asarray(heat(map_)).max() > 200


def test_a_sheet_has_a_cell_for_every_picture():
    cell = Cell("a", heat(np.ones((16, 16), np.float32)))

    assert sheet([[cell, cell], [cell]]).width > 2 * CELL
    assert curves("a", [0, 1], {"": [0.5, 0.5]}).size == (420, 300)
