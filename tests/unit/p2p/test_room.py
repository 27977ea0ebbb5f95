"""Additions that are tried in several rows, of which one becomes the picture."""

from dataclasses import replace

import pytest
import torch

from p2p.change.choosing import MOST_TRIED, explicit
from p2p.cohort.cohort import Cohort
from p2p.cohort.key import rows_of
from p2p.cohort.presence import LOOKS, Presence
from p2p.edit import edit, edit_again_steps, edit_steps
from p2p.preparation import prepare, sampler_of
from p2p.room import chosen_rows
from p2p.rooms import ASKED_ABOUT, KEPT_ROWS, expanded
from p2p.spec import EditSpec
from p2p.stepping import result_of

STEPS = 3


def spec(*prompts: str, seed: int = 1, **more) -> EditSpec:
    return EditSpec.model_validate(
        {
            "source": {"prompt": "a cat on a beach"},
            "targets": [{"prompt": prompt, **more} for prompt in prompts or ("a cat and a dog on a beach",)],
            "sampling": {"steps": STEPS, "seed": seed, "guidance_scale": 5},
        }
    )


def judged(
    family, dog: tuple[float, ...], cells: tuple[int, ...] = (4, 4, 4, 4), shares: tuple[float, ...] | None = None
) -> tuple[list[int], tuple]:
    """What is chosen of a free row and three kept ones, by how high and wide the dog's map is in each.

    Args:
        shares: how much the model sees of it in each kept one.
    """
    asked = explicit(spec())
    rows = expanded(asked)
    job = prepare(rows, family, sampler_of(rows, family))
    side = 8
    total = torch.zeros(len(job.prompts), len(job.maps.tokens), side, side)
    total[0, job.maps.place(job.prompts[0].named("cat"))] = 0.5
    for row, (height, wide) in enumerate(zip(dog, cells, strict=True), start=1):
        total[row, job.maps.place(job.prompts[row].named("dog")), 0, :wide] = height
    job.maps.total, job.maps.steps = total, 1
    return chosen_rows(job, asked, None if shares is None else dict(zip((2, 3, 4), shares, strict=True)))


def test_a_thing_that_is_added_is_tried_beside_what_is_there():
    (target,) = explicit(spec()).targets

    assert [name.word for name in target.room.words] == ["dog"]
    assert [name.word for name in target.room.beside] == ["cat"]
    assert len(expanded(explicit(spec())).targets) == 1 + KEPT_ROWS


@pytest.mark.parametrize("prompt", ["a cat with a hat on a beach", "a dog on a beach", "a cat on a beach at night"])
def test_what_belongs_to_a_thing_and_what_is_no_addition_is_tried_once(prompt):
    assert explicit(spec(prompt)).targets[0].room is None


def test_many_pictures_are_tried_once():
    many = explicit(spec(*["a cat and a dog on a beach"] * (MOST_TRIED + 1)))

    assert all(target.room is None for target in many.targets)


@pytest.mark.needs("latents")
@pytest.mark.parametrize(
    ("shares", "dog", "chosen"),
    [
        ((0.6, 0.9, 0.4), (1, 1, 1, 1), ([0, 3], (False,))),
        ((0.4, 0.45, -1), (1, 1, 1, 1), ([0, 1], (True,))),
        ((0.6, 0.9, 0.4), (1, 1, 0.6, 1), ([0, 2], (False,))),
        ((0.6, 0.5, 0.4), (1, 2, 1, 1), ([0, 2], (False,))),
        ((0.6, 0.9, 0.4), (0, 0, 0, 0), ([0, 3], (False,))),
    ],
    ids=["most of it", "none of it", "its word acts less", "its word acts more", "its word acts nowhere"],
)
def test_the_kept_row_that_the_model_sees_most_of_the_thing_in_is_shown(family, shares, dog, chosen):
    assert judged(family, dog, shares=shares) == chosen


@pytest.mark.needs("latents")
def test_a_picture_shows_a_prompt_as_far_as_it_lies_where_the_prompt_leads(family):
    """Of pictures that are what the model expects of one prompt or the other: none of it, half, and all."""
    asked = explicit(spec())
    rows = expanded(asked)
    sampler = sampler_of(rows, family)
    job = prepare(rows, family, sampler)
    expected = torch.randn((2, *job.noise.shape[1:]), generator=torch.Generator().manual_seed(3))
    source, own = expected
    pictures = torch.stack([source, source, source, (source + own) / 2, own])
    presence = Presence(Expecting(sampler, source, own), job, [2, 3, 4], pictures)

    for look in range(LOOKS):
        presence.asked(look)
        presence.took(torch.zeros(6, *source.shape), look)

    assert list(presence.shares().values()) == pytest.approx([0, 0.5, 1], abs=1e-5)  # rounding of float32


class Expecting:
    """A sampler whose predictions point at one picture by the edited prompt, and at the other by the source's."""

    def __init__(self, sampler, source, own):
        self.num_steps, self.timestep, self.hidden = sampler.num_steps, sampler.timestep, sampler.hidden
        self._pictures = torch.stack([own] * 3 + [source] * 3)

    def clean(self, seen, prediction, index):
        return self._pictures


@pytest.mark.needs("latents")
def test_hidden_latents_are_what_a_model_is_given_of_them(family):
    """Before the first step all is noise, but for what the schedule leaves of a picture."""
    sampler = sampler_of(spec(), family)
    noise = torch.randn(family.latent_shape(None, None), generator=torch.Generator().manual_seed(3))[None]

    hidden = sampler.hidden(torch.zeros_like(noise), 0, noise)

    # The schedules that are tested end between a tenth and a thousandth of the picture.
    assert torch.allclose(hidden, noise, rtol=0.1, atol=0)


@pytest.mark.needs("latents")
def test_of_the_kept_rows_whose_maps_show_the_thing_the_one_with_most_of_it_is_shown(family):
    assert judged(family, (1, 0.4, 0.9, 0.5)) == ([0, 3], (False,))


@pytest.mark.needs("latents")
def test_where_no_kept_row_shows_it_the_layout_is_made_anew(family):
    assert judged(family, (1, 0.1, 0.2, 0.2)) == ([0, 1], (True,))
    assert judged(family, (1, 0.9, 0.9, 0.9), (9 - 1, 2, 3, 4)) == ([0, 1], (True,))


@pytest.mark.needs("latents")
def test_a_thing_that_is_nearly_as_high_and_as_wide_as_in_the_free_row_is_there(family):
    assert judged(family, (0.29, 0.28, 0.2, 0.2), (8, 8, 8, 8)) == ([0, 2], (False,))
    assert judged(family, (0.29, 0.28, 0.2, 0.2), (8, 7, 8, 8)) == ([0, 1], (True,))


def test_an_addition_is_one_picture_of_the_same_source(family):
    alone = edit(spec("a dog on a beach"), family)
    result = edit(spec(), family)

    assert len(result.images) == len(result.prompts) == len(result.latents) == len(result.maps) == 2
    assert result.anew in ((True,), (False,))
    assert (result.latents[0].float() - alone.latents[0].float()).abs().max() <= 1e-4


def test_every_step_shows_as_many_pictures_as_there_will_be(family):
    steps = list(edit_steps(spec("a dog on a beach", "a cat and a dog on a beach"), family))

    assert {len(step.latents) for step in steps} == {3}


def test_an_edit_of_a_kept_source_adds_alike(family):
    whole = edit(spec(), family, keep=True)

    again = result_of(edit_again_steps(spec(), family, whole.trajectory))

    assert again.anew == whole.anew
    # Rows beside others may be rounded otherwise (docs/attention.md).
    assert (again.latents[1].float() - whole.latents[1].float()).abs().max() <= 1e-3


def test_the_rows_of_an_addition_are_known_before_a_run(family):
    with Cohort(family) as cohort:
        member = cohort.join(spec())

        # A source and a swap are two rows, or four where each has one that it is guided away from.
        of_each = rows_of(spec("a dog on a beach"), family) // 2
        most = max(of_each * (2 + KEPT_ROWS), ASKED_ABOUT * KEPT_ROWS)
        assert member.rows <= rows_of(spec(), family) == most


@pytest.mark.needs("latents")
def test_each_try_has_noise_of_its_own(family):
    rows = expanded(explicit(spec()))
    fresh = prepare(rows, family, sampler_of(rows, family)).fresh

    assert fresh.wanted.tolist() == [False, False, True, True]
    assert not torch.equal(fresh.noise[2], fresh.noise[3])


@pytest.mark.needs("latents")
def test_what_is_beside_is_the_sources_for_the_first_half(family):
    rows = explicit(spec())
    plan = prepare(expanded(rows), family, sampler_of(rows, family)).plan.blend

    assert plan.held.any(1).tolist() == [False, True, True, True]
    assert replace(plan, held=None).first_step.tolist() == [STEPS, 2, 2, 2]
