"""Each metric against pictures and verdicts whose value is known by hand."""

import numpy as np
import pytest

from benchmarks.quality.changes import DOWN, UP, Change
from benchmarks.quality.methods import room_for_one
from benchmarks.quality.metrics import MARGIN, MOST_PSNR, may_change, psnr, shows, ssim, succeeds, widened
from benchmarks.quality.report import Row, summary
from scenes.judge.verdict import Verdict
from scenes.world import Scene, Thing

CAT = Scene((Thing("cat"),), "beach")


def seen(*things: str, place: str = "beach", style: str | None = None, tints=None, **chances: float) -> Verdict:
    tints = {name: None for name in things} | (tints or {})
    return Verdict(frozenset(things), place, style, tints, {}, {k.replace("_", ":"): v for k, v in chances.items()})


def spot(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((64, 64), bool)
    mask[rows, columns] = True
    return mask


def test_a_picture_shows_a_scene_where_all_of_it_is_seen_and_nothing_besides():
    assert shows(seen("cat"), CAT)
    assert not shows(seen("dog"), CAT)
    assert not shows(seen("cat", "dog"), CAT)
    assert not shows(seen("cat", place="snow"), CAT)
    assert not shows(seen("cat", style="at night"), CAT)
    assert not shows(seen("cat", tints={"cat": "red"}), CAT)


@pytest.mark.usefixtures("font")
def test_a_tint_and_a_plain_place_are_not_asked_of_a_grey_picture():
    grey = Scene((Thing("cat", "purple"),), "red", "in black and white")

    assert shows(seen("cat", place="blue", style="in black and white"), grey)


def test_a_fader_succeeds_where_its_word_moved_the_way_it_was_turned():
    purple = Scene((Thing("cat", "purple"),), "beach")
    up, down = (Change("reweight", purple, purple, ("cat",), "purple", weight) for weight in (UP, DOWN))
    before, more, less = (seen("cat", cat_purple=odds) for odds in (2.0, 4.0, -3.0))

    assert succeeds(up, before, more)
    assert succeeds(down, before, less)
    assert not succeeds(up, before, less)
    assert not succeeds(down, before, more)
    assert not succeeds(up, before, before)
    assert not succeeds(up, before, seen("dog", cat_purple=9.0))


def test_a_local_change_is_free_where_its_things_were_and_are():
    change = Change("thing", CAT, Scene((Thing("dog"),), "beach"), ("cat", "dog"))
    before, after = spot(slice(10, 20), slice(10, 20)), spot(slice(40, 50), slice(40, 50))

    free = may_change(change, {"cat": before}, {"dog": after, "tree": spot(slice(0, 5), slice(0, 5))})

    assert np.array_equal(free, widened(before) | widened(after))
    assert widened(before).sum() == (10 + 2 * MARGIN) ** 2


def test_a_change_of_place_is_free_everywhere_but_inside_the_thing():
    change = Change("place", CAT, Scene((Thing("cat"),), "snow"))

    kept = ~may_change(change, {"cat": spot(slice(10, 20), slice(10, 20))}, {})

    assert np.array_equal(kept, spot(slice(11, 19), slice(11, 19)))


def test_nothing_is_kept_by_a_style():
    change = Change("style", CAT, Scene((Thing("cat"),), "beach", "at night"))

    assert may_change(change, {"cat": spot(slice(10, 20), slice(10, 20))}, {}).all()


def test_psnr_is_that_of_the_pixels_that_count():
    one = np.zeros((64, 64, 3), np.uint8)
    other = one + 16
    other[:32] = 0

    assert psnr(one, one) == MOST_PSNR
    assert psnr(one, other, spot(slice(0, 32), slice(0, 64))) == MOST_PSNR
    assert psnr(one, other, spot(slice(32, 64), slice(0, 64))) == pytest.approx(24.05, abs=0.01)  # 20 log10(255 / 16)
    assert psnr(one, other) == pytest.approx(24.05 + 3.01, abs=0.01)
    assert psnr(one, other, np.zeros((64, 64), bool)) is None


def test_ssim_is_that_of_what_counts():
    one, other = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    other[:32] = one[:32]
    upper = spot(slice(0, 32), slice(0, 64))

    assert ssim(one, other, upper) == pytest.approx(1)
    assert ssim(one, other, ~upper) < 0.6
    assert ssim(one, other, np.zeros((64, 64), bool)) is None


def test_room_for_one_more_is_beside_what_is_there():
    box = room_for_one(spot(slice(20, 40), slice(5, 25)))

    rows, columns = np.nonzero(box)
    assert (columns.min(), columns.max(), rows.max()) == (32, 63, 39)


def test_a_summary_counts_each_figure_over_the_edits_that_have_it():
    counted = [
        Row("thing", "", "", 0, success=True, preservation_psnr=20.0),
        Row("thing", "", "", 0, success=False, preservation_psnr=30.0),
        Row("style", "", "", 0, success=True),
        Row("thing", "", "", 0, counterfactual_psnr=18.0),
    ]

    made = summary(counted)

    assert {k: v for k, v in made.items() if k != "by_kind"} == {
        "success": 0.667,
        "preservation_psnr": 25.0,
        "counterfactual_psnr": 18.0,
    }
    assert made["by_kind"]["style"] == {"success": 1.0, "preservation_psnr": None, "counterfactual_psnr": None}
    assert made["by_kind"]["add"] == {"success": None, "preservation_psnr": None, "counterfactual_psnr": None}
