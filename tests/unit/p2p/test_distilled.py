"""A network that is distilled for few steps: its guidance scale is an input, and no row is unconditional."""

import pytest
import torch
from diffusers import LatentConsistencyModelPipeline, LCMScheduler

from p2p.edit import edit, edit_again_steps
from p2p.errors import UnsupportedInversion, UnsupportedSampling
from p2p.inversion import invert
from p2p.stepping import result_of
from tests import families
from tests.short_specs import NO_MAPS, OFF, REFINE, SWAP, plainly, spec

pytestmark = pytest.mark.needs("latents")


@pytest.fixture(scope="module")
def pipeline(build):
    made = build(unet={"time_cond_proj_dim": 32})
    made.scheduler = LCMScheduler.from_config(made.scheduler.config)
    return made


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
def test_an_empty_plan_is_the_plain_pipeline(pipeline, family, guidance_scale):
    ours = edit(spec(SWAP | OFF, REFINE | OFF, guidance_scale=guidance_scale, **NO_MAPS), family).latents

    assert torch.equal(ours, plainly(pipeline, guidance_scale))


def test_the_guidance_scale_acts(family):
    weak, strong = (edit(spec(SWAP, guidance_scale=scale, **NO_MAPS), family).latents for scale in (1.5, 8.0))

    assert (weak - strong).norm() > 1e-3 * strong.norm()


def test_no_row_is_unconditional(family, monkeypatch):
    rows, forward = [], family.network.forward

    def recorded(sample, *args, **kwargs):
        rows.append(len(sample))
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(family.network, "forward", recorded)
    edit(spec(SWAP, **NO_MAPS), family)

    assert rows == [2] * 4


def test_an_edit_of_a_kept_source_is_the_edit(family):
    """The source's row must have the job's own scale: with another one it has other queries and keys."""
    kept = edit(spec(REFINE, **NO_MAPS), family, keep=True).trajectory

    fresh = edit(spec(SWAP, **NO_MAPS), family).latents
    again = result_of(edit_again_steps(spec(SWAP, **NO_MAPS), family, kept)).latents

    # The parity bound of an edit of a kept source; a scale of 1 for the source is 5e-2 off (families.md a4).
    assert (again - fresh).norm() <= 1e-4 * fresh.norm()


def test_another_scheduler_is_refused_by_name(family):
    with pytest.raises(UnsupportedSampling, match=r"runs on lcm alone, not on ddim"):
        edit(spec(SWAP, sampling={"scheduler": "ddim"}), family)


def test_a_negative_prompt_which_could_do_nothing_is_refused(family):
    with pytest.raises(UnsupportedSampling, match=r"no negative prompt .* leave it out"):
        edit(spec(SWAP, sampling={"negative_prompt": "a house"}, **NO_MAPS), family)


def test_a_picture_is_not_inverted(family):
    with pytest.raises(UnsupportedInversion, match="LCMScheduler cannot be run backwards"):
        invert(torch.zeros(1, 4, 16, 16), "a cat", family)


def test_the_pipeline_that_is_named_for_it_is_served_too():
    plain = families.PIPELINES["stable_diffusion"](unet={"time_cond_proj_dim": 32})
    parts = {name: part for name, part in plain.components.items() if name not in ("scheduler", "image_encoder")}
    named = LatentConsistencyModelPipeline(
        **parts, scheduler=LCMScheduler.from_config(plain.scheduler.config), requires_safety_checker=False
    )

    assert edit(spec(SWAP, **NO_MAPS), families.of(named)).scheduler == "lcm"
