"""Whole runs on a tiny real model."""

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
)
from PIL import Image

from p2p.attention.control import grid
from p2p.edit import edit, edit_again_steps
from p2p.errors import UnsupportedSize
from p2p.preparation import pixels_a_cell
from p2p.sampling import noise_streams
from p2p.schedulers import SCHEDULERS
from p2p.stepping import result_of
from tests import families
from tests.short_specs import BLEND, NO_MAPS, OFF, REFINE, SWAP, plainly, spec


@pytest.mark.parametrize("kind", SCHEDULERS.values(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("guidance_scale", [5.0, 1.0])
@pytest.mark.needs("latents")
def test_an_empty_plan_is_the_plain_pipeline_bit_for_bit(pipeline, kind, guidance_scale):
    pipeline = type(pipeline)(**{**pipeline.components, "scheduler": kind.from_config(pipeline.scheduler.config)})
    pipeline.set_progress_bar_config(disable=True)
    family = families.of(pipeline)

    ours = edit(spec(SWAP | OFF, REFINE | OFF, guidance_scale=guidance_scale, **NO_MAPS), family).latents

    assert torch.equal(ours, plainly(pipeline, guidance_scale))


#: How models are run that were made for few steps, and those that were trained to the very end of the noise.
SETTINGS = {
    "Lightning": (EulerDiscreteScheduler, {"timestep_spacing": "trailing"}, 0.0, "epsilon"),
    "Turbo": (EulerAncestralDiscreteScheduler, {"timestep_spacing": "trailing"}, 0.0, "epsilon"),
    "v prediction": (EulerDiscreteScheduler, {"rescale_betas_zero_snr": True}, 5.0, "v_prediction"),
    "v prediction, trailing": (
        DDIMScheduler,
        {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
        5.0,
        "v_prediction",
    ),
}


@pytest.mark.parametrize(("kind", "settings", "guidance_scale", "prediction"), SETTINGS.values(), ids=SETTINGS)
@pytest.mark.needs("latents")
def test_an_empty_plan_is_the_plain_pipeline_with_the_settings_that_models_come_with(
    build, kind, settings, guidance_scale, prediction
):
    pipeline = build(prediction_type=prediction)
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config, **settings)

    family = families.of(pipeline)
    ours = edit(spec(SWAP | OFF, REFINE | OFF, guidance_scale=guidance_scale, **NO_MAPS), family).latents

    assert torch.equal(ours, plainly(pipeline, guidance_scale))


@pytest.mark.needs("latents")
def test_windows_of_few_steps_are_counted_in_steps(build):
    """Of two steps, without guidance: the first one alone is carried over."""
    pipeline = build()
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config, timestep_spacing="trailing")
    family = families.of(pipeline)
    first = {"cross_window": {"stop": 1, "unit": "steps"}, "self_window": {"stop": 1, "unit": "steps"}}

    def of(windows: dict) -> torch.Tensor:
        return edit(spec(SWAP | windows, steps=2, guidance_scale=0.0, **NO_MAPS), family).latents

    carried, free = of(first), of(OFF)
    assert torch.allclose(carried[0], free[0], atol=1e-5)  # the source; other rows choose other kernels
    assert not torch.allclose(carried[1], free[1], atol=1e-3)


@pytest.mark.needs("latents")
def test_with_a_negative_prompt_too_an_empty_plan_is_the_plain_pipeline(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    family, without = families.of(pipeline), edit(spec(SWAP | OFF, **NO_MAPS), families.of(pipeline)).latents

    ours = edit(spec(SWAP | OFF, sampling={"negative_prompt": "a house"}, **NO_MAPS), family).latents
    plain = pipeline(
        ["a cat on a beach", SWAP["prompt"]],
        negative_prompt=["a house"] * 2,
        num_inference_steps=4,
        guidance_scale=5.0,
        generator=noise_streams(1, 2),
        output_type="latent",
    ).images
    assert (ours - plain).norm() <= families.bounds_of(family).negative_prompt * plain.norm()
    assert not torch.equal(ours, without)
    assert (ours - without).norm() > 1e-2 * plain.norm()  # what a negative prompt changes is of the latents' own size


def test_the_source_is_the_same_whatever_is_edited(family):
    """At the same batch shape: other shapes choose other kernels, which round differently."""
    swapped, refined = (edit(spec(target), family).latents[0] for target in (SWAP, REFINE | OFF))

    # the source's rows of the fused call are computed beside others: 1e-5 of the latents' unit deviation
    torch.testing.assert_close(swapped, refined, rtol=0, atol=1e-5)


def test_a_source_without_edits_is_the_same_picture_with_its_maps(family):
    alone, beside = edit(spec(), family), edit(spec(SWAP), family)

    # Beside other rows a picture is rounded otherwise: by up to 2e-4 where pixels are thresholded at each step.
    torch.testing.assert_close(alone.latents, beside.latents[:1], atol=1e-3, rtol=0)
    assert (len(alone.images), len(alone.maps), alone.masks) == (1, 1, ())
    assert [word.word for word in alone.maps[0]] == [word.word for word in beside.maps[0]]
    for one, other in zip(alone.maps[0], beside.maps[0], strict=True):
        np.testing.assert_allclose(one.map, other.map, atol=1e-5)


def test_control_changes_the_edit(family):
    with_control, without = (edit(spec(target), family).latents[1] for target in (SWAP, SWAP | OFF))

    assert (with_control - without).abs().max() > 1e-3


def test_carrying_everything_over_of_the_same_prompt_gives_the_source(family):
    whole = {"cross_window": {}, "self_window": {}}
    same = {"prompt": "a cat on a beach", "edits": [{"kind": "refine"}], **whole}
    latents = edit(spec(same), family).latents

    torch.testing.assert_close(latents[1], latents[0], rtol=0, atol=1e-5)


@pytest.mark.needs("each")
def test_the_images_come_source_first_and_in_the_models_size(family):
    result = edit(spec(SWAP, REFINE), family)

    assert [image.size for image in result.images] == [(32, 32)] * 3


def map_size(family, height: int | None = None, width: int | None = None) -> tuple[int, int]:
    """Of the word maps of a picture."""
    _, rows, columns = family.latent_shape(height, width)
    return grid((rows, columns), family.map_factor)


def test_every_word_of_every_prompt_has_a_map(family):
    result = edit(spec(SWAP, REFINE), family)

    assert [[word.word for word in maps] for maps in result.maps] == [
        ["a", "cat", "on", "a", "beach"],
        SWAP["prompt"].split(),
        REFINE["prompt"].split(),
    ]
    assert [word.occurrence for word in result.maps[0]] == [1, 1, 1, 2, 1]
    assert {word.map.shape for maps in result.maps for word in maps} == {map_size(family)}


def test_the_maps_of_a_picture_sum_to_one_with_its_start_end_and_padding(family):
    """Probabilities: a word's share is below one, and all of a row's tokens make one."""
    words = edit(spec(SWAP), family).maps[0]
    total = np.sum([word.map for word in words], axis=0)

    assert (total > 0).all()
    assert (total < 1).all()


@pytest.mark.parametrize(("height", "width"), [(32, 48), (40, 24), (36, 20)])
def test_other_sizes_and_shapes_run_with_blend_and_maps(family, height, width):
    result = edit(spec(BLEND, sampling={"height": height, "width": width}), family)

    assert result.images[0].size == (width, height)
    assert result.maps[0][0].map.shape == map_size(family, height, width)


def test_a_size_that_the_latents_cannot_have_is_refused(family):
    with pytest.raises(UnsupportedSize, match=r"multiples of \d"):
        edit(spec(SWAP, sampling={"height": 33, "width": 32}), family)


def test_local_blend_keeps_the_source_outside_the_region(family):
    blend = {"words": [{"word": "dog"}], "threshold": 0.97, "start": 0}
    latents = edit(spec(SWAP | {"local_blend": blend}), family).latents
    equal = (latents[0] == latents[1]).all(0)

    assert 0 < equal.float().mean() < 1


@pytest.mark.parametrize("maps", [True, False])
@pytest.mark.needs("each")
def test_a_box_keeps_the_source_outside_and_comes_back_as_the_mask(family, maps):
    box = {"left": 0, "top": 0, "right": 0.5, "bottom": 1}
    bounded = SWAP | {"local_blend": {"box": box, "start": 0}}
    result = edit(spec(bounded, SWAP, **({} if maps else NO_MAPS)), family)
    half = result.latents.shape[-1] // 2

    assert torch.equal(result.latents[1, :, :, half:], result.latents[0, :, :, half:])
    assert not torch.equal(result.latents[1, :, :, :half], result.latents[0, :, :, :half])
    mask, none = result.masks
    assert mask[:, :half].all()
    assert not mask[:, half:].any()
    assert none is None


@pytest.mark.needs("each")
def test_a_mask_keeps_the_source_outside_and_comes_back_on_the_latents_grid(family):
    upload = "img_" + "0" * 32
    masked = SWAP | {"local_blend": {"mask": {"upload": upload}, "start": 0}}
    white = Image.new("L", (32, 32))
    white.paste(255, (0, 4, 32, 12))

    result = edit(spec(SWAP, masked), family, masks={upload: white})

    none, mask = result.masks
    assert none is None
    top, bottom = (side // pixels_a_cell(spec().sampling, family) for side in (4, 12))
    assert mask[top:bottom].all()
    assert not mask[:top].any()
    assert not mask[bottom:].any()
    assert torch.equal(result.latents[2][:, ~mask], result.latents[0][:, ~mask])
    assert not torch.equal(result.latents[2][:, mask], result.latents[0][:, mask])


@pytest.mark.parametrize(
    "bound", [{"box": {"left": 0, "top": 0.2, "right": 1, "bottom": 0.5}}, {"mask": {"upload": "img_" + "0" * 32}}]
)
@pytest.mark.needs("each")
def test_outside_of_a_bound_every_pixel_is_the_sources_within_a_cell_too(family, bound):
    """The decoder looks around: equal latents beside others are other pixels."""
    white = Image.new("L", (32, 32))
    white.paste(255, (0, 7, 32, 15))  # its cells are rows 3 to 7, of two pixels each

    result = edit(spec(SWAP | {"local_blend": bound | {"start": 0}}), family, masks={"img_" + "0" * 32: white})

    source, edited = map(np.asarray, result.images)
    rows = slice(7, 15) if "mask" in bound else slice(6, 16)
    outside = np.ones(32, bool)
    outside[rows] = False
    assert np.array_equal(edited[outside], source[outside])
    assert not np.array_equal(edited[rows], source[rows])


@pytest.mark.needs("each")
def test_a_kept_source_takes_masks_as_well(family):
    upload = "img_" + "0" * 32
    asked = spec(SWAP | {"local_blend": {"mask": {"upload": upload}, "start": 0}})
    white = Image.new("L", (32, 32))
    white.paste(255, (0, 4, 32, 12))
    kept = edit(asked, family, masks={upload: white}, keep=True)

    again = result_of(edit_again_steps(asked, family, kept.trajectory, masks={upload: white}))

    assert np.array_equal(again.masks[0], kept.masks[0])
    # Another batch shape: fp32 rounding over four steps, as above.
    torch.testing.assert_close(again.latents, kept.latents, rtol=0, atol=1e-4)


@pytest.mark.needs("each")
def test_targets_with_and_without_a_blend_share_a_run(family):
    alone = edit(spec(SWAP, SWAP), family).latents[1]
    beside = edit(spec(SWAP, BLEND), family).latents[1]

    # Rows beside others are rounded otherwise; where pixels are clipped at nearly pure noise, some are near the edge.
    torch.testing.assert_close(beside, alone, rtol=0, atol=5e-5)
