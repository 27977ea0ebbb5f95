"""Outside the words' region a picture is its source, to the pixel."""

import numpy as np
import pytest
import torch

from p2p.edit import edit, edit_again_steps, edit_steps
from p2p.paste import HIGHEST, LOWEST, paste_mask, pasted
from p2p.spec import EditSpec
from p2p.stepping import result_of
from tests.unit.p2p.test_blend import maps_of, plan, spot

DEFAULT = 0.3
#: Maps of tiny models are nearly flat: by this threshold a part of the picture is kept.
HIGH = {"threshold": 0.99}


def spec(**more) -> EditSpec:
    target = {
        "prompt": "a dog on a beach",
        "edits": [{"kind": "replace"}],
        "local_blend": {"words": [{"word": "dog"}], **more.pop("local_blend", {})},
    }
    sampling = {"steps": 4, "seed": 1, "guidance_scale": 5}
    return EditSpec.model_validate(
        {"source": {"prompt": "a cat on a beach"}, "targets": [target], "sampling": sampling, **more}
    )


def mask(source: torch.Tensor, target: torch.Tensor, size: int = 20, **said) -> torch.Tensor:
    """Of maps of five cells along a side, four pixels each."""
    words = plan([[1], [1]], **{"threshold": DEFAULT, **said})
    return paste_mask(maps_of(source, target), words, (size, size))[0]


def test_all_of_the_source_and_the_targets_region_is_shown():
    shown = mask(spot((0, 0)), spot((4, 4)))

    assert (shown[:4, :4] == 1).all()
    assert (shown[16:, 16:] == 1).all()
    assert shown[0, 19] == shown[19, 0] == 0


def test_the_edge_is_soft_and_half_a_cell_wide():
    row = mask(spot((2, 2)), spot((2, 2)))[10]
    steps = row.diff()

    assert row.min() == 0
    assert row.max() == 1
    assert steps.abs().max() <= 0.25  # a box of five pixels, of which the edge passes one at a time
    assert ((row > 0) & (row < 1)).sum() >= 4


@pytest.mark.parametrize("level", [0.0, 0.1, 0.6, 0.9, 1.0])
def test_the_threshold_is_the_maps_own_within_bounds(level):
    """A background of any level: what is above the upper bound is shown, what is below the lower one is not."""
    ground = torch.full((5, 5), level)
    ground[2, 2] = 1
    shown = mask(ground, ground)

    assert shown[10, 10] == 1
    assert bool(shown[0, 0] > 0) == (level > HIGHEST or LOWEST > 1)


def test_a_threshold_that_is_said_is_taken():
    faint = torch.full((5, 5), 0.15)
    faint[2, 2] = 1

    assert mask(faint, faint, threshold=0.1)[0, 0] == 1
    assert mask(faint, faint)[0, 0] == 0


def test_a_region_that_must_not_change_shows_the_source():
    maps = torch.stack([torch.stack([spot((1, 1)), spot((1, 3))])] * 2)
    words = plan([[1, 0], [1, 0]], subtract=[[0, 1], [0, 0]], threshold=DEFAULT)

    shown = paste_mask(maps, words, (20, 20))[0]

    assert shown[6, 14] == 0
    assert shown[6, 6] == 1


def test_where_all_else_may_change_what_stays_is_narrower_than_its_map():
    """Half a cell, of four pixels, on each side of a square of three cells."""
    thing = torch.zeros(5, 5)
    thing[1:4, 1:4] = 1
    words = plan([[0], [0]], subtract=[[1], [0]], subtract_threshold=0.9)

    shown = paste_mask(maps_of(thing, torch.zeros(5, 5)), words, (20, 20))[0]

    assert shown[10, 10] == 0
    assert (shown[4] == 1).all()
    assert shown[10, 4] == 1


def test_without_words_all_may_change_but_what_must_not():
    words = plan([[0], [0]], subtract=[[0], [0]])

    assert (paste_mask(maps_of(spot((1, 1)), spot((1, 1))), words, (20, 20)) == 1).all()


def test_where_nothing_is_shown_a_picture_is_its_source_and_where_all_is_itself():
    pixels = torch.rand(2, 3, 4, 4)
    shown = torch.zeros(1, 4, 4)
    shown[0, :2] = 1

    mixed = pasted(pixels, shown)

    assert torch.equal(mixed[1, :, :2], pixels[1, :, :2])
    assert torch.equal(mixed[1, :, 2:], pixels[0, :, 2:])


def test_outside_the_mask_a_picture_is_its_source(family):
    result = edit(spec(local_blend=HIGH), family)
    kept = result.masks[0] == 0
    source, target = (np.asarray(image) for image in result.images)

    assert kept.shape == source.shape[:2]
    assert kept.any()
    assert not kept.all()
    assert np.array_equal(target[kept], source[kept])
    assert not np.array_equal(target, source)


def test_an_edit_of_a_kept_source_is_pasted_alike(family):
    asked = spec(local_blend=HIGH)
    whole = result_of(edit_steps(asked, family, keep=True))[0]
    again = result_of(edit_again_steps(asked, family, whole.trajectory))

    assert np.allclose(whole.masks[0], again.masks[0], atol=1e-3)
    kept = again.masks[0] == 0
    assert np.array_equal(np.asarray(again.images[1])[kept], np.asarray(again.images[0])[kept])


def test_the_reference_pastes_nothing(family):
    result = edit(spec(compat="reference"), family)

    assert result.masks[0].dtype == bool
    assert result.masks[0].shape == tuple(result.latents.shape[-2:])


def test_a_box_bounds_what_is_shown(family):
    box = {"left": 0, "top": 0, "right": 0.5, "bottom": 1}
    shown = edit(spec(local_blend={"box": box}), family).masks[0]

    assert not shown[:, shown.shape[1] // 2 :].any()


def test_a_target_without_a_blend_is_shown_whole(family):
    both = spec()
    free = replace_target(both)
    result = edit(free, family)

    assert result.masks[0] is None
    alone = edit(both.model_copy(update={"targets": free.targets[:1]}), family)
    # A row beside others is rounded otherwise, by a level of 255.
    assert np.abs(np.asarray(result.images[1], int) - np.asarray(alone.images[1], int)).max() <= 1


def replace_target(given: EditSpec) -> EditSpec:
    """The same with a first target that has no blend."""
    free = given.targets[0].model_copy(update={"local_blend": None})
    return given.model_copy(update={"targets": (free, *given.targets)})
