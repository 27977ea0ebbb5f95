"""Local blend against masks worked out by hand."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from p2p.blend import local_blend, region
from p2p.errors import UnsupportedMask
from p2p.masks import bounds, cells, touched
from p2p.plan import BlendPlan
from p2p.spec import Box, Target


def plan(words, subtract=None, threshold=0.5, subtract_threshold=0.5, first_step=0) -> BlendPlan:
    words = torch.tensor(words, dtype=torch.float32)[None]
    subtract = torch.zeros_like(words) if subtract is None else torch.tensor(subtract, dtype=torch.float32)[None]
    return BlendPlan(
        words=words,
        subtract_words=subtract,
        threshold=torch.tensor([threshold]),
        subtract_threshold=torch.tensor([subtract_threshold]),
        first_step=torch.tensor([first_step]),
    )


def spot(*cells: tuple[int, int], size: int = 5) -> torch.Tensor:
    """A map that is 1 at these cells and .1 elsewhere."""
    result = torch.full((size, size), 0.1)
    for row, column in cells:
        result[row, column] = 1
    return result


def maps_of(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """One token each."""
    return torch.stack([source, target])[:, None]


def blended(maps, plan, step=0, size=5) -> torch.Tensor:
    """1 where the target was kept, 0 where the source was taken."""
    latents = torch.stack([torch.zeros(1, size, size), torch.ones(1, size, size)])
    return local_blend(latents, maps, plan, step)[1, 0]


def test_the_region_is_the_map_above_the_threshold_widened_by_a_cell():
    mask = region(
        maps_of(spot((0, 0)), spot((2, 2))), plan([[0], [1]]).words, torch.tensor([0.5]), (5, 5), widened=True
    )

    expected = torch.zeros(5, 5, dtype=torch.bool)
    expected[1:4, 1:4] = True
    assert torch.equal(mask[0], expected)


def test_the_source_words_region_may_change_too():
    kept = blended(maps_of(spot((0, 0)), spot((4, 4))), plan([[1], [1]]))

    assert kept[0, 0] == kept[4, 4] == 1
    assert kept[2, 2] == kept[0, 4] == 0


def test_subtracted_words_are_kept_as_they_are():
    maps = torch.stack([torch.stack([spot((1, 1)), spot((1, 2))])] * 2)

    kept = blended(maps, plan([[1, 0], [1, 0]], subtract=[[0, 1], [0, 0]]))
    assert kept[1, 1] == 1
    assert kept[1, 2] == 0


def test_outside_of_what_bounds_it_nothing_changes_whatever_the_maps_say():
    bounded = replace(plan([[1], [1]]), within=touched(Box(left=0, top=0, right=0.5, bottom=1), (5, 5))[None])
    kept = blended(maps_of(spot((0, 0)), spot((4, 4))), bounded)

    assert kept[0, 0] == 1
    assert kept[4, 4] == 0


def test_where_no_word_is_named_all_of_the_box_may_change():
    bounded = replace(plan([[0], [0]]), within=touched(Box(left=0.2, top=0.4, right=0.6, bottom=1), (5, 5))[None])
    expected = torch.zeros(5, 5)
    expected[2:, 1:3] = 1

    assert torch.equal(blended(maps_of(spot((0, 0)), spot((4, 4))), bounded), expected)


def blended_by(**blend) -> Target:
    return Target.model_validate({"prompt": "a dog", "edits": [{"kind": "replace"}], "local_blend": blend})


@pytest.mark.parametrize("scale_factor", [1, 2, 4])
def test_a_box_holds_every_cell_that_it_touches(scale_factor):
    box = {"left": 0.1, "top": 0.3, "right": 0.3, "bottom": 0.6}

    (found,) = cells(bounds([blended_by(box=box)], (4 * scale_factor,) * 2, {}), scale_factor)

    assert found.nonzero().tolist() == [[1, 0], [1, 1], [2, 0], [2, 1]]


UPLOAD = "img_" + "0" * 32
MASK = {"upload": UPLOAD}


def painted(*pixels: tuple[int, int], size: int = 8, level: int = 255) -> Image.Image:
    """A mask that is black but for these pixels, each a row and a column."""
    mask = Image.new("L", (size, size))
    for row, column in pixels:
        mask.putpixel((column, row), level)
    return mask


def within(mask: Image.Image | torch.Tensor, *blends: dict) -> torch.Tensor:
    """The cells, two pixels each way, that blends may change."""
    return cells(bounds([blended_by(**blend) for blend in blends or [{"mask": MASK}]], (8, 8), {UPLOAD: mask}), 2)


def test_a_mask_lets_every_cell_change_in_which_it_has_any_white():
    assert within(painted((0, 0), (5, 6)))[0].nonzero().tolist() == [[0, 0], [2, 3]]


@pytest.mark.parametrize(("level", "may_change"), [(127, False), (128, True)])
def test_the_lighter_half_of_a_masks_greys_counts_as_white(level, may_change):
    assert bool(within(painted((3, 3), level=level))[0, 1, 1]) is may_change


def test_a_mask_may_be_a_tensor():
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[5, 6] = True

    assert torch.equal(within(mask), within(painted((5, 6))))


def test_a_mask_and_a_box_let_change_what_lies_in_both_and_a_blend_of_words_everything():
    left = {"left": 0, "top": 0, "right": 0.5, "bottom": 1}
    words = {"words": [{"word": "dog"}]}

    alone, both, free = within(painted((0, 0), (5, 6)), {"mask": MASK}, {"mask": MASK, "box": left}, words)

    assert alone.nonzero().tolist() == [[0, 0], [2, 3]]
    assert both.nonzero().tolist() == [[0, 0]]
    assert free.all()
    assert bounds([blended_by(**words)], (8, 8), {}) is None


def test_a_mask_bounds_what_words_name_and_is_the_region_where_none_is_named():
    maps = maps_of(spot((0, 0), size=4), spot((3, 3), size=4))
    bounded = within(painted((0, 0), (5, 6)))

    both, one, none = (
        blended(maps, replace(plan(words), within=bounded), size=4) for words in ([[1], [1]], [[1], [0]], [[0], [0]])
    )

    assert both.nonzero().tolist() == [[0, 0], [2, 3]]
    assert one.nonzero().tolist() == [[0, 0]]
    assert torch.equal(none, bounded[0].float())


@pytest.mark.parametrize(("masks", "said"), [({}, "give it"), ({UPLOAD: painted(size=16)}, "16x16")])
def test_a_mask_that_is_not_there_or_of_another_size_is_refused(masks, said):
    with pytest.raises(UnsupportedMask, match=said):
        bounds([blended_by(mask=MASK)], (8, 8), masks)


def test_nothing_is_blended_before_its_first_step():
    maps = maps_of(spot((0, 0)), spot((0, 0)))

    assert blended(maps, plan([[1], [1]], first_step=3), step=2).min() == 1
    assert blended(maps, plan([[1], [1]], first_step=3), step=3).min() == 0


def test_a_map_coarser_than_the_latents_is_enlarged_without_smoothing():
    kept = blended(maps_of(spot((0, 0), size=4), spot((0, 0), size=4)), plan([[1], [1]]), size=8)

    assert kept[:4, :4].min() == 1
    assert kept[4:].max() == kept[:, 4:].max() == 0


def test_a_map_that_is_zero_everywhere_is_no_region():
    kept = blended(torch.zeros(2, 1, 5, 5), plan([[1], [1]], threshold=0.0))

    assert kept.max() == 0


def test_the_source_and_the_dtype_stay_as_they_are():
    latents = torch.randn(2, 1, 5, 5).to(torch.bfloat16)
    result = local_blend(latents, maps_of(spot((0, 0)), spot((4, 4))), plan([[1], [1]]), 0)

    assert result.dtype == torch.bfloat16
    assert torch.equal(result[0], latents[0])
