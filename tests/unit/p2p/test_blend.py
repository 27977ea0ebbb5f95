"""Local blend against masks worked out by hand."""

from dataclasses import replace

import torch

from p2p.blend import local_blend, region
from p2p.masks import cells_of
from p2p.plan import BlendPlan
from p2p.spec import Box


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
    bounded = replace(plan([[1], [1]]), within=cells_of(Box(left=0, top=0, right=0.5, bottom=1), (5, 5))[None])
    kept = blended(maps_of(spot((0, 0)), spot((4, 4))), bounded)

    assert kept[0, 0] == 1
    assert kept[4, 4] == 0


def test_where_no_word_is_named_all_of_the_box_may_change():
    bounded = replace(plan([[0], [0]]), within=cells_of(Box(left=0.2, top=0.4, right=0.6, bottom=1), (5, 5))[None])
    expected = torch.zeros(5, 5)
    expected[2:, 1:3] = 1

    assert torch.equal(blended(maps_of(spot((0, 0)), spot((4, 4))), bounded), expected)


def test_a_box_holds_every_cell_that_it_touches():
    cells = cells_of(Box(left=0.1, top=0.3, right=0.3, bottom=0.6), (4, 4))

    assert cells.nonzero().tolist() == [[1, 0], [1, 1], [2, 0], [2, 1]]


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
