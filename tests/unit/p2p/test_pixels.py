"""Models of pixels, whose layers put text and pixels into one softmax: on tiny models of their real classes."""

from unittest.mock import patch

import pytest
import torch
from PIL import Image

from p2p.edit import edit, edit_again_steps, edit_batch_steps
from p2p.errors import PromptTooLong, UnsupportedInversion, UnsupportedSize
from p2p.inversion import invert
from p2p.schedulers import SCHEDULERS
from p2p.spec import Sampling
from p2p.stepping import result_of
from tests.short_specs import BLEND, NO_MAPS, OFF, REFINE, SWAP, spec

pytestmark = pytest.mark.needs("pixels")

FEW = {"steps": 2}


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one - other).norm() / other.norm()).item()


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.linear_gradient("L").resize((32, 32)).convert("RGB")


def test_an_edit_differs_from_the_same_prompt_without_control_and_the_source_does_not(family):
    edited, plain = (edit(spec(REFINE | how, **NO_MAPS), family).latents for how in ({}, OFF))

    assert apart(edited[:1], plain[:1]) < 1e-5  # other rows of a call are rounded otherwise
    assert apart(edited[1:], plain[1:]) > 1e-3


def test_control_sees_the_network_make_its_keys_of_the_text_once_a_run(family):
    layer = next(iter(family.attention_layers.values()))
    made = []
    with patch.object(
        layer.add_k_proj, "forward", lambda rows, own=layer.add_k_proj.forward: made.append(1) or own(rows)
    ):
        edit(spec(SWAP | {"cross_window": {}, "self_window": {}}, **NO_MAPS), family)

    assert len(made) == 1


@pytest.mark.parametrize("name", [*SCHEDULERS, None])
def test_every_scheduler_takes_a_prediction_with_a_variance(family, name):
    made = edit(spec(SWAP, sampling={"scheduler": name, **FEW}, **NO_MAPS), family)

    assert made.latents.isfinite().all()
    assert made.latents.shape[1] == 3


@pytest.mark.parametrize("method", ["direct", "edit_friendly"])
def test_a_photo_is_edited_and_its_source_is_the_photo(family, picture, method):
    sampling = Sampling(steps=3, guidance_scale=2.0, seed=1, scheduler="ddim")
    found = invert(picture, "a cat on a beach", family, method=method, sampling=sampling)
    wanted = spec(BLEND, sampling=sampling.model_dump(include={"steps", "guidance_scale", "seed", "scheduler"}))
    made = result_of(edit_again_steps(wanted, family, found.trajectory))

    # Pixels are the latents, so nothing but the steps is between the photo and the source; edit-friendly sums them.
    torch.testing.assert_close(made.latents[:1], found.latents, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", ["ddim", "negative_prompt", "null_text"])
def test_an_inversion_that_samples_the_source_again_is_refused_with_the_reason(family, picture, method):
    sampling = Sampling(steps=3, guidance_scale=2.0, scheduler="ddim")

    with pytest.raises(
        UnsupportedInversion, match=r"(clip_sample|thresholding) loses what it cuts off.*direct or edit"
    ):
        invert(picture, "a cat", family, method=method, sampling=sampling)


def test_a_size_that_the_network_cannot_halve_is_refused(family):
    with pytest.raises(UnsupportedSize, match="both sides must be multiples of"):
        family.latent_shape(33, None)


def test_a_prompt_in_several_chunks_is_refused(family):
    with pytest.raises(PromptTooLong, match="and the model reads"):
        edit(spec({"prompt": "a red cat " * 100, "edits": []}, long_prompts="chunks", **NO_MAPS), family)


def test_jobs_that_share_a_batch_are_what_they_are_alone(family):
    jobs = [spec(BLEND, seed=3, **FEW), spec(REFINE, seed=4, **FEW)]
    together = result_of(edit_batch_steps(jobs, family))

    for job, made in zip(jobs, together, strict=True):
        assert apart(made.latents, edit(job, family).latents) < 1e-5  # other kernels for more rows


def test_a_blend_leaves_pixels_outside_as_they_are(family):
    made = edit(spec(BLEND | {"local_blend": BLEND["local_blend"] | {"start": 0}}, **NO_MAPS), family)

    kept = (made.latents[0] == made.latents[1]).all(0)
    assert 0 < kept.float().mean() < 1
