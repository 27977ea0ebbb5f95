"""Whole runs on a tiny real model."""

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    EDMEulerScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
)
from PIL import Image

from p2p.attention.control import grid
from p2p.edit import edit, edit_again_steps, edit_batch_steps, edit_steps
from p2p.errors import MixedBatch, PromptTooLong, SeveralSeeds, UnsupportedModel, UnsupportedSize
from p2p.preparation import pixels_a_cell, prepare, sampler_of
from p2p.sampling import noise_streams
from p2p.schedulers import SCHEDULERS
from p2p.spec import EditSpec
from p2p.stepping import made_of, result_of
from p2p.tokens import tokenize
from tests import families, tiny
from tests.stepping import run_through

OFF = {"cross_window": {"stop": 0}, "self_window": {"stop": 0}}
SWAP = {"prompt": "a dog on a beach", "edits": [{"kind": "replace"}]}
REFINE = {"prompt": "a cat on a red beach at night", "edits": [{"kind": "refine"}]}
BLEND = SWAP | {"local_blend": {"words": [{"word": "dog"}]}}


def spec(*targets: dict, steps: int = 4, guidance_scale: float = 5.0, seed: int = 1, **extra) -> EditSpec:
    sampling = {"steps": steps, "guidance_scale": guidance_scale, "seed": seed, **extra.pop("sampling", {})}
    return EditSpec.model_validate(
        {"source": {"prompt": "a cat on a beach"}, "targets": targets, "sampling": sampling, **extra}
    )


NO_MAPS = {"artifacts": {"heatmaps": False, "raw_maps": False}}


def plainly(pipeline, guidance_scale: float) -> torch.Tensor:
    """What the plain pipeline makes of the prompts of `spec(SWAP, REFINE)`, its source's first."""
    return pipeline(
        ["a cat on a beach", SWAP["prompt"], REFINE["prompt"]],
        num_inference_steps=4,
        guidance_scale=guidance_scale,
        generator=noise_streams(1, 3),
        output_type="latent",
    ).images


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


def run_together(specs, family):
    results = result_of(edit_batch_steps(specs, family))
    return results


def test_jobs_that_share_a_batch_are_each_what_they_are_alone(family):
    """Other edit kinds, windows, seeds, guidance, and one without any, in one forward pass."""
    specs = [
        spec(BLEND, seed=1),
        spec(REFINE, SWAP | {"self_window": {"start": 0.5}}, seed=2, guidance_scale=2.0),
        spec(SWAP, seed=3, guidance_scale=1.0),
    ]
    for one, together in zip(specs, run_together(specs, family), strict=True):
        alone = edit(one, family)
        # Another batch shape chooses other kernels: fp32 rounding, which four steps carry to 1e-4 of unit deviation.
        torch.testing.assert_close(together.latents, alone.latents, rtol=0, atol=1e-4)
        assert [[w.word for w in maps] for maps in together.maps] == [[w.word for w in maps] for maps in alone.maps]


@pytest.mark.needs("each")
def test_a_spec_of_several_seeds_gives_a_result_for_each(family):
    asked = spec(BLEND, sampling={"seed": 0, "seeds": [3, 1]})
    results = result_of(edit_steps(asked, family))

    assert [result.seed for result in results] == [3, 1]
    for result in results:
        alone = edit(spec(BLEND, seed=result.seed), family)
        # As above.
        torch.testing.assert_close(result.latents, alone.latents, rtol=0, atol=1e-4)


@pytest.mark.parametrize("runs_one", [edit, lambda asked, family: run_together([asked], family)])
@pytest.mark.needs("each")
def test_several_seeds_are_refused_where_one_is_run(family, runs_one):
    with pytest.raises(SeveralSeeds, match="2 seeds"):
        runs_one(spec(SWAP, sampling={"seed": 0, "seeds": [3, 1]}), family)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_what_shares_the_batch_changes_a_job_by_rounding_alone(build, dtype, bound):
    """The bounds that `docs/attention.md` states, of the latents' own size."""
    family = families.of(build().to(dtype))
    alone = edit(spec(REFINE, seed=7), family).latents.float()
    beside = run_together([spec(REFINE, seed=7), spec(SWAP, BLEND, seed=8)], family)[0].latents.float()

    assert (beside - alone).norm() <= bound * alone.norm()


@pytest.mark.parametrize("stop", ["close", "throw"])
def test_a_run_that_is_canceled_or_timed_out_leaves_the_model_as_it_was(family, stop):
    before = families.processors_of(family)
    steps = edit_steps(spec(BLEND), family)
    next(steps)
    if stop == "close":
        steps.close()
    else:
        with pytest.raises(TimeoutError):
            steps.throw(TimeoutError())

    assert families.processors_of(family) == before
    assert torch.equal(edit(spec(SWAP), family).latents, edit(spec(SWAP), family).latents)


@pytest.mark.needs("each")
def test_specs_that_cannot_share_a_run_are_refused(family):
    with pytest.raises(MixedBatch, match="sizes"):
        run_together([spec(SWAP), spec(SWAP, sampling={"height": 32, "width": 48})], family)


@pytest.mark.needs("each")
def test_what_is_done_between_two_steps_is_no_part_of_the_runs_time(family, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def later(step):
        yield step
        now[0] += 1

    (result,) = result_of(made_of(edit_steps(spec(SWAP), family), later))

    assert result.seconds == {"encode": 0, "denoise": 0, "decode": 0}


@pytest.mark.needs("each")
def test_the_same_spec_gives_the_same_pictures(family):
    assert torch.equal(edit(spec(BLEND, REFINE), family).latents, edit(spec(BLEND, REFINE), family).latents)


def test_without_guidance_there_is_no_unconditional_half(family, monkeypatch):
    seen = []
    monkeypatch.setattr(family.network, "forward", _recording(family.network.forward, seen))
    edit(spec(SWAP, guidance_scale=0.0), family)

    assert seen == [2] * 4


@pytest.mark.needs("latents")
def test_each_distinct_prompt_is_projected_once_a_run(family):
    """Four rows, two of them unconditional: three texts, whose keys and values no step changes."""
    projected = []
    hooks = [
        layer.to_k.register_forward_hook(lambda module, given, out, name=name: projected.append((name, len(given[0]))))
        for name, layer in family.attention_layers.items()
        if ".attn2." in name
    ]
    try:
        edit(spec(REFINE | {"cross_window": {}}), family)
    finally:
        for hook in hooks:
            hook.remove()

    assert sorted(projected) == sorted((name, 3) for name in family.attention_layers if ".attn2." in name)


def test_only_the_maps_that_are_asked_for_are_gathered(family):
    dog, all_words = (
        prepare(made, family, sampler_of(made, family)).maps for made in (spec(BLEND, **NO_MAPS), spec(REFINE))
    )

    assert dog.tokens == [*tokenize("a dog on a beach", family.tokenizer).named("dog")]
    # The target has the same words in front as the source, and more of them.
    each = (word.tokens for word in tokenize(REFINE["prompt"], family.tokenizer).words())
    assert all_words.tokens == sorted(token for tokens in each for token in tokens)
    unread = spec(SWAP, **NO_MAPS)
    assert prepare(unread, family, sampler_of(unread, family)).maps is None


def _recording(forward, seen):
    def recorded(*args, **kwargs):
        seen.append(len(args[0] if args else kwargs["hidden_states"]))
        return forward(*args, **kwargs)

    return recorded


@pytest.mark.needs("each")
def test_the_processors_are_restored_when_a_step_raises(family, monkeypatch):
    before = families.processors_of(family)
    monkeypatch.setattr(family.network, "forward", _failing)
    with pytest.raises(RuntimeError, match="in the middle of a step"):
        edit(spec(SWAP), family)

    assert families.processors_of(family) == before


def _failing(*args, **kwargs):
    raise RuntimeError("in the middle of a step")


@pytest.mark.needs("each")
def test_the_processors_are_back_between_steps(family):
    """A caller may stop listening at any step: nothing stays installed."""
    before = families.processors_of(family)
    steps = edit_steps(spec(SWAP), family)
    next(steps)

    assert families.processors_of(family) == before


@pytest.mark.needs("each")
def test_each_step_is_reported_before_the_result(family):
    steps, (result,) = run_through(edit_steps(spec(SWAP), family))

    # While pictures are made larger, the last one is reported again.
    assert [*dict.fromkeys((step.index, step.num_steps) for step in steps)] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert torch.equal(steps[-1].latents, result.latents)


def test_a_prompt_over_the_token_limit_is_refused(family):
    limit = family.tokenizer.model_max_length
    long = "a cat on a beach" + " beach" * limit
    with pytest.raises(PromptTooLong, match=rf"\d tokens and the model reads {limit}:"):
        edit(spec({"prompt": long, "edits": [{"kind": "refine"}]}), family)


def test_a_scheduler_that_is_not_exact_is_refused_by_name(pipeline):
    name = next(part for part in pipeline.components if part.endswith("scheduler"))
    twice = type(pipeline)(**{**pipeline.components, name: EDMEulerScheduler()})
    with pytest.raises(UnsupportedModel, match="scheduler is EDMEulerScheduler"):
        families.of(twice)


@pytest.mark.parametrize("kind", [DDPMScheduler, EulerAncestralDiscreteScheduler, LCMScheduler])
@pytest.mark.needs("latents")
def test_noise_that_is_added_on_the_way_is_shared_by_all_rows(pipeline, kind):
    """The same prompt in every row gives the same picture in every row."""
    stochastic = type(pipeline)(**{**pipeline.components, "scheduler": kind.from_config(pipeline.scheduler.config)})
    same = {"prompt": "a cat on a beach", "edits": [{"kind": "refine"}], **OFF}
    latents = edit(spec(same), families.of(stochastic)).latents

    torch.testing.assert_close(latents[1], latents[0], rtol=0, atol=1e-5)


def test_a_model_of_the_second_generation_runs():
    """SD 2.x: v-prediction, linear projections, more heads at coarser levels."""
    unet = {"use_linear_projection": True, "attention_head_dim": (1, 2, 4)}
    family = families.of(tiny.pipeline(unet=unet, prediction_type="v_prediction"))
    result = edit(spec(BLEND, REFINE), family)

    assert result.latents.isfinite().all()
    assert result.maps[1][1].map.shape == (16, 16)


@pytest.mark.needs("latents")
def test_bfloat16_runs_and_stays_bfloat16(build):
    family = families.of(build().to(torch.bfloat16))

    assert edit(spec(BLEND), family).latents.dtype == torch.bfloat16
