"""A kept source is edited again with fewer rows, and gives what a fresh run gives."""

import sys

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    PNDMScheduler,
)

from p2p.attention.control import grid
from p2p.edit import edit, edit_again_steps
from p2p.errors import WrongTrajectory
from p2p.stepping import result_of
from p2p.tokens import tokenize
from tests import families
from tests.short_specs import BLEND, NO_MAPS, OFF, REFINE, SWAP, spec


def again(made, family, trajectory):
    result = result_of(edit_again_steps(made, family, trajectory))
    return result


@pytest.mark.parametrize(
    "kind", [DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, PNDMScheduler]
)
@pytest.mark.parametrize("targets", [(SWAP,), (BLEND, REFINE)], ids=["swap", "blend and refine"])
@pytest.mark.needs("latents")
def test_a_re_edit_equals_the_fresh_edit(build, kind, targets):
    pipeline = build()
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config)
    family = families.of(pipeline)
    trajectory = edit(spec(REFINE), family, keep=True).trajectory

    fresh, repeated = edit(spec(*targets), family), again(spec(*targets), family, trajectory)

    # Other batch shapes choose other kernels, which round differently: the parity bound, of the latents' own size.
    assert (repeated.latents - fresh.latents).norm() <= 1e-4 * fresh.latents.norm()
    for one, other in zip(repeated.maps, fresh.maps, strict=True):
        for word, expected in zip(one, other, strict=True):
            torch.testing.assert_close(torch.tensor(word.map), torch.tensor(expected.map), rtol=0, atol=1e-4)


def test_three_rows_inside_the_windows_and_two_after(family, build):
    """A fresh edit runs four all the time. Without guidance there are two, then one, of two."""
    trajectory = edit(spec(SWAP, **NO_MAPS), family, keep=True).trajectory
    counting = families.counted(build())
    again(spec(SWAP | {"cross_window": {"stop": 0.5}}, **NO_MAPS), counting, trajectory)

    assert counting.by_step == ([3, 3, 2, 2] if family.guides(5.0) else [2, 2, 1, 1])


@pytest.mark.parametrize(("kind", "adds"), [(DDIMScheduler, False), (DDPMScheduler, True)])
@pytest.mark.needs("latents")
def test_the_noise_that_was_added_on_the_way_is_kept(build, kind, adds, monkeypatch):
    pipeline = build()
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config)
    module, drawn = sys.modules[kind.__module__], []
    draw = module.randn_tensor
    monkeypatch.setattr(module, "randn_tensor", lambda *a, **k: drawn.append(draw(*a, **k)) or drawn[-1])
    kept = edit(spec(SWAP, **NO_MAPS), families.of(pipeline), keep=True).trajectory.step_noise

    if not adds:
        assert kept is None
        return
    assert torch.equal(kept, torch.stack([noise[0] for noise in drawn]))


def test_without_anything_carried_over_it_is_the_prompt_alone(family):
    trajectory = edit(spec(SWAP), family, keep=True).trajectory
    fresh, repeated = edit(spec(SWAP | OFF), family), again(spec(SWAP | OFF), family, trajectory)

    # Fewer rows are rounded otherwise; clipped pixels of nearly pure noise the most: 1.2e-4.
    torch.testing.assert_close(repeated.latents, fresh.latents, rtol=0, atol=3e-4)


@pytest.mark.parametrize("other", [{"seed": 2}, {"steps": 5}, {"guidance_scale": 4.0}])
@pytest.mark.needs("each")
def test_the_trajectory_of_another_run_is_refused(family, other):
    trajectory = edit(spec(SWAP), family, keep=True).trajectory

    with pytest.raises(WrongTrajectory, match="generate it anew"):
        again(spec(SWAP, **other), family, trajectory)


def test_a_source_is_kept_with_the_maps_of_all_its_words_whatever_its_own_edit_reads(family):
    trajectory = edit(spec(SWAP, **NO_MAPS), family, keep=True).trajectory
    fresh, repeated = edit(spec(BLEND, **NO_MAPS), family), again(spec(BLEND, **NO_MAPS), family, trajectory)

    size = grid(family.latent_shape(None, None)[1:], family.map_factor)
    assert trajectory.maps.shape == (4, tokenize("a cat on a beach", family.tokenizer).limit, *size)
    torch.testing.assert_close(repeated.latents, fresh.latents, rtol=0, atol=1e-4)


@pytest.mark.needs("each")
def test_a_source_that_was_made_alone_is_any_edits(family):
    alone = edit(spec(SWAP, sampling={"alone": True}), family, keep=True).trajectory

    again(spec(SWAP), family, alone)
