"""Pictures inverted on a tiny real model: what each method promises, and that edits take it up as any kept source."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from p2p.edit import edit, edit_again_steps
from p2p.errors import WrongTrajectory
from p2p.families.encoded import joined
from p2p.inversion import INVERSIONS, invert, invert_steps
from p2p.inversion.fidelity import fidelity
from p2p.reading import read_maps
from p2p.samplers.ddim import DDIMWayBack
from p2p.spec import Sampling
from p2p.trajectory_file import dumped, loaded
from tests import families
from tests.short_specs import BLEND, NO_MAPS, OFF, SWAP, spec
from tests.stepping import run_through
from tests.unit.p2p.test_trajectory import again

pytestmark = pytest.mark.needs("latents")


PROMPT = "a cat on a beach"
#: That of `spec`.
SAMPLING = Sampling(steps=4, guidance_scale=5.0, seed=1)
SAME = {"prompt": PROMPT, "edits": [{"kind": "refine"}]}
METHODS = sorted(INVERSIONS)
#: Where it does not matter how near null-text comes: each of its iterations costs several calls.
BRIEF = {"null_text": {"inner_steps": 2}}


def calm(build, dtype: torch.dtype = torch.float32, **kind):
    """A tiny pipeline that behaves as a trained one where inversions need it to.

    What random weights see in latents changes wildly from step to step, so a tenth of it is used; and the random
    autoencoder's latents are scaled to the unit deviation that the sampler takes them to have.
    """
    pipeline = build(**kind)
    with torch.no_grad():
        pipeline.unet.conv_out.weight.mul_(0.1)
    pipeline.vae.register_to_config(scaling_factor=3.4)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            torch.nn.Module.to(part, dtype)
    return pipeline


@pytest.fixture(scope="module")
def family(build):
    return families.of(calm(build))


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Blobs: pixels of pure noise would be as far from anything that is ever inverted as can be."""
    coarse = np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def inverted(family, picture):
    """Every method's inversion, as edits of `spec` take it up."""
    return {
        method: invert(picture, PROMPT, family, method=method, sampling=SAMPLING, settings=BRIEF.get(method))
        for method in METHODS
    }


def tensors_of(trajectory) -> dict[str, torch.Tensor]:
    """All tensors of a trajectory that are there, by name."""
    found = {name: getattr(trajectory, name) for name in ("noise", "latents", "maps", "step_noise")}
    away = {} if trajectory.unconditional is None else dict(trajectory.unconditional.named())
    return {name: tensor for name, tensor in (found | away).items() if tensor is not None}


def distance(one, other) -> float:
    return ((one - other).norm() / other.norm()).item()


def guided_loop(family, trajectory, prompt, negative_prompt="", guidance_scale=5.0):
    """Plain guided sampling from what an inversion found, in the words of the papers."""
    scheduler = family.scheduler(len(trajectory.latents))
    text = family.encode_prompts([prompt])
    latents, after = trajectory.noise, []
    for index, timestep in enumerate(scheduler.timesteps):
        away = family.encode_negative(negative_prompt)
        if trajectory.unconditional is not None:
            away = trajectory.unconditional.row(min(index, len(trajectory.unconditional) - 1))
        both, twice = joined([away, text]), latents.repeat(2, 1, 1, 1)
        with torch.no_grad():
            inputs = family.network_inputs(twice, both)
            without, with_prompt = family.network(twice, timestep, both.context, **inputs)[0][:, None]
        output = without + guidance_scale * (with_prompt - without)
        added = {}
        if trajectory.step_noise is not None:
            added = {"eta": 1.0, "variance_noise": trajectory.step_noise[index][None]}
        latents = scheduler.step(output, timestep, latents, **added).prev_sample
        after.append(latents)
    return torch.cat(after)


def test_direct_is_the_picture_bit_for_bit(family, picture, inverted):
    result = inverted["direct"]

    assert torch.equal(result.trajectory.latents[-1:], result.latents)
    assert fidelity(picture, result, family).psnr == fidelity(picture, result, family).autoencoder_psnr


@pytest.mark.parametrize("method", [m for m in METHODS if m != "direct"])
def test_the_source_is_what_guided_sampling_makes_of_what_was_found(family, inverted, method):
    """Direct's alone is not: it is put back at every step."""
    trajectory = inverted[method].trajectory

    # Other batch shapes round otherwise, and guidance of 5 carries that on through 4 steps.
    assert distance(guided_loop(family, trajectory, PROMPT), trajectory.latents) < 1e-4


def test_edit_friendly_noises_lead_to_the_picture(family, inverted):
    result = inverted["edit_friendly"]

    # float32 rounding, of a division by the deviation and a multiplication with it
    assert distance(guided_loop(family, result.trajectory, PROMPT)[-1:], result.latents) < 1e-4
    assert distance(result.trajectory.latents[-1:], result.latents) < 1e-5


def test_edit_friendly_noises_of_another_seed_are_others(family, picture, inverted):
    other = invert(
        picture, PROMPT, family, method="edit_friendly", sampling=SAMPLING.model_copy(update={"seed": 2})
    ).trajectory

    assert distance(other.step_noise, inverted["edit_friendly"].trajectory.step_noise) > 0.1


def test_ddim_comes_nearer_the_more_steps_it_takes(family, picture):
    """The noise is seen at the wrong end of each step: an error of the first order."""

    def missed(steps: int) -> float:
        sampling = Sampling(steps=steps, guidance_scale=1.0)
        result = invert(picture, PROMPT, family, method="ddim", sampling=sampling)
        return distance(result.trajectory.latents[-1:], result.latents)

    few, many = missed(10), missed(80)
    assert many < few / 3
    assert many < 0.03  # 0.013 with this model; steps taken to levels that are off by one miss several times that


def test_guidance_drives_ddim_off_and_null_text_brings_it_back(family, picture):
    sampling = Sampling(steps=4, guidance_scale=7.5)
    ddim, null_text = (
        invert(picture, PROMPT, family, method=method, sampling=sampling) for method in ("ddim", "null_text")
    )
    unguided = invert(picture, PROMPT, family, method="ddim", sampling=Sampling(steps=4, guidance_scale=1.0))
    missed, brought_back, without = (
        distance(result.trajectory.latents[-1:], result.latents) for result in (ddim, null_text, unguided)
    )

    assert without < missed
    assert brought_back < families.bounds_of(family).null_text * missed  # it goes on falling with more iterations


def test_negative_prompt_is_as_near_as_no_guidance(family, picture, inverted):
    unguided = invert(picture, PROMPT, family, method="ddim", sampling=Sampling(steps=4, guidance_scale=1.0))

    assert torch.equal(inverted["negative_prompt"].trajectory.latents, unguided.trajectory.latents)


@pytest.mark.parametrize("method", METHODS)
def test_the_source_of_an_edit_is_the_reconstruction(family, picture, inverted, method):
    result = again(spec(SWAP), family, inverted[method].trajectory)

    assert torch.equal(result.latents[0], inverted[method].trajectory.latents[-1])
    assert np.array_equal(result.images[0], fidelity(picture, inverted[method], family).reconstruction)


@pytest.mark.parametrize("method", METHODS)
def test_an_edit_without_control_is_guided_as_the_method_says(family, inverted, method):
    """Its own embedding at every step, its own noise; and whatever was carried over is not."""
    trajectory = inverted[method].trajectory
    result = again(spec(SWAP | OFF), family, trajectory)

    expected = guided_loop(family, trajectory, SWAP["prompt"])
    assert distance(result.latents[1], expected[-1]) < 1e-4  # as above
    assert distance(result.latents[1], result.latents[0]) > 1e-2


@pytest.mark.parametrize("method", ["direct", "null_text"])
def test_an_edit_into_the_words_of_the_negative_prompt_is_no_less_itself(family, picture, method):
    """Rows of one prompt share keys and values: another embedding in the negative prompt's place must not."""
    negative_prompt = SWAP["prompt"]
    sampling = SAMPLING.model_copy(update={"negative_prompt": negative_prompt})
    trajectory = invert(
        picture, PROMPT, family, method=method, sampling=sampling, settings=BRIEF.get(method)
    ).trajectory
    result = again(spec(SWAP | OFF, sampling={"negative_prompt": negative_prompt}), family, trajectory)

    assert distance(result.latents[1], guided_loop(family, trajectory, SWAP["prompt"], negative_prompt)[-1]) < 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_control_and_blend_act_on_an_inverted_source(family, inverted, method):
    trajectory = inverted[method].trajectory
    # Random attention is flat: a dog is nearly everywhere.
    sharp = SWAP | {"local_blend": {"words": [{"word": "dog"}], "threshold": 0.97}}
    plain, swapped, blended = (again(spec(t), family, trajectory).latents[1] for t in (SWAP | OFF, SWAP, sharp))

    assert distance(swapped, plain) > 1e-3
    assert distance(blended, swapped) > 1e-3


def test_an_edit_takes_a_generated_source_and_its_inversion_alike(family):
    """The source's own latents as an inversion: every edit sees the same source, so every edit is the same."""
    kept = edit(spec(SWAP), family, keep=True).trajectory
    inverted_alike = invert(kept.latents[-1:], PROMPT, family, sampling=SAMPLING).trajectory
    swapped_in = replace(inverted_alike, noise=kept.noise, latents=kept.latents, maps=kept.maps)

    torch.testing.assert_close(
        again(spec(BLEND), family, swapped_in).latents, again(spec(BLEND), family, kept).latents, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
def test_word_maps_are_those_of_the_sources_own_latents(family, inverted, method):
    trajectory = inverted[method].trajectory
    timesteps = family.scheduler(4).timesteps
    entering = torch.cat([trajectory.noise, trajectory.latents[:-1]])

    for latents, timestep, maps in zip(entering, timesteps, trajectory.maps, strict=True):
        expected = read_maps(family, latents[None], timestep, [PROMPT])[0]
        torch.testing.assert_close(maps, expected, rtol=0, atol=1e-5)  # beside a second row kernels round otherwise


@pytest.mark.parametrize("method", METHODS)
def test_a_re_edit_runs_no_inversion_step(family, inverted, method, monkeypatch):
    seen = []
    forward = family.network.forward
    monkeypatch.setattr(family.network, "forward", lambda x, *a, **k: seen.append(len(x)) or forward(x, *a, **k))
    again(spec(SWAP | {"cross_window": {"stop": 0.5}}, **NO_MAPS), family, inverted[method].trajectory)

    assert seen == [3, 3, 2, 2]


#: Rows through the UNet in 4 steps, with guidance and without: the table of docs/inversion.md.
EVALUATIONS = {
    "ddim": (12, 8),
    "direct": (8, 8),
    "negative_prompt": (8, 8),
    "edit_friendly": (8, 4),
    "null_text": (12 + 4 * 3, None),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("guidance_scale", [5.0, 1.0])
def test_what_an_inversion_costs_is_told(family, picture, method, guidance_scale, monkeypatch):
    expected = EVALUATIONS[method][guidance_scale == 1.0]
    if expected is None:
        return
    seen, forward = [], family.network.forward
    monkeypatch.setattr(family.network, "forward", lambda x, *a, **k: seen.append(len(x)) or forward(x, *a, **k))
    sampling, settings = Sampling(steps=4, guidance_scale=guidance_scale), {}
    if method == "null_text":
        settings = {"tolerance": -1.0, "inner_steps": 3}  # no early end
    result = invert(picture, PROMPT, family, method=method, sampling=sampling, settings=settings)

    assert sum(seen) == result.unet_evaluations == expected
    assert result.unet_gradients == (12 if method == "null_text" else 0)


def test_null_text_ends_a_step_where_it_is_near_enough(family, picture):
    result = invert(picture, PROMPT, family, method="null_text", sampling=SAMPLING, settings={"tolerance": 1e9})

    assert result.unet_gradients == 4


@pytest.mark.parametrize("method", METHODS)
def test_progress_rises_to_its_end(family, picture, method):
    settings = {"tolerance": 1e-3, "inner_steps": 4} if method == "null_text" else {}
    steps, _ = run_through(invert_steps(picture, PROMPT, family, method=method, sampling=SAMPLING, settings=settings))
    indices = [step.index for step in steps]

    assert indices == sorted(set(indices))
    assert (indices[0], indices[-1]) == (0, steps[0].num_steps - 1)
    assert len({step.num_steps for step in steps}) == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_caller_that_stops_listening_leaves_the_model_whole(build, picture, method):
    family = families.of(calm(build))
    whole = {name: layer.processor for name, layer in family.attention_layers.items()}
    before = edit(spec(SWAP), family).latents
    run = invert_steps(picture, PROMPT, family, method=method, sampling=SAMPLING, settings=BRIEF.get(method))
    for _ in range(next(run).num_steps - 2):
        next(run)
        assert {name: layer.processor for name, layer in family.attention_layers.items()} == whole
        assert not family.network.is_gradient_checkpointing
        assert torch.is_grad_enabled()
    run.close()

    assert torch.equal(edit(spec(SWAP), family).latents, before)


@pytest.mark.parametrize("method", METHODS)
def test_a_failure_inside_a_step_leaves_the_model_whole(build, picture, method, monkeypatch):
    family = families.of(calm(build))
    whole = {name: layer.processor for name, layer in family.attention_layers.items()}
    calls, forward = [], family.network.conv_out.forward

    def failing(*args):
        calls.append(args)
        if len(calls) == (3 if method == "edit_friendly" else 6):  # where its source is read, or differentiated
            raise RuntimeError("out of something")
        return forward(*args)

    monkeypatch.setattr(family.network.conv_out, "forward", failing)
    with pytest.raises(RuntimeError, match="out of something"):
        invert(picture, PROMPT, family, method=method, sampling=SAMPLING, settings=BRIEF.get(method))

    assert {name: layer.processor for name, layer in family.attention_layers.items()} == whole
    assert not family.network.is_gradient_checkpointing


@pytest.mark.parametrize("method", METHODS)
def test_an_inversion_survives_its_file(family, inverted, method):
    trajectory = inverted[method].trajectory
    read = loaded(dumped(trajectory))

    assert (read.key, read.inverted) == (trajectory.key, trajectory.inverted)
    kept, again_read = tensors_of(trajectory), tensors_of(read)
    assert again_read.keys() == kept.keys()
    assert all(torch.equal(again_read[name], kept[name]) for name in kept)
    # Read from a file tensors lie elsewhere in memory, and kernels that look at that round otherwise.
    torch.testing.assert_close(
        again(spec(BLEND), family, read).latents, again(spec(BLEND), family, trajectory).latents, rtol=0, atol=1e-4
    )


def test_the_same_inversion_is_the_same_bits(family, picture, inverted):
    repeated = invert(
        picture, PROMPT, family, method="null_text", sampling=SAMPLING, settings=BRIEF["null_text"]
    ).trajectory

    assert repeated.key == inverted["null_text"].trajectory.key
    once = inverted["null_text"].trajectory.unconditional
    assert torch.equal(repeated.unconditional.context, once.context)


@pytest.mark.parametrize(
    ("method", "sampling"),
    [
        ("direct", {"guidance_scale": 2.0}),
        ("direct", {"guidance_scale": 1.0}),
        ("direct", {"negative_prompt": "a car", "seed": 9}),
        ("negative_prompt", {"guidance_scale": 2.0}),
        ("negative_prompt", {"guidance_scale": 1.0}),
        ("ddim", {"seed": 9}),
    ],
)
def test_an_edit_may_differ_in_what_the_inversion_does_not_depend_on(family, inverted, method, sampling):
    result = again(spec(SWAP, sampling=sampling), family, inverted[method].trajectory)

    assert torch.equal(result.latents[0], inverted[method].trajectory.latents[-1])
    assert torch.isfinite(result.latents).all()


@pytest.mark.parametrize(
    ("method", "sampling"),
    [
        ("direct", {"steps": 5}),
        ("direct", {"height": 40}),
        ("ddim", {"guidance_scale": 2.0}),
        ("null_text", {"guidance_scale": 2.0}),
        ("null_text", {"negative_prompt": "a car"}),
        ("negative_prompt", {"negative_prompt": "a car"}),
        ("edit_friendly", {"seed": 9}),
    ],
)
def test_an_edit_that_differs_in_what_the_inversion_depends_on_is_refused(family, inverted, method, sampling):
    with pytest.raises(WrongTrajectory, match="invert the picture anew"):
        again(spec(SWAP, sampling=sampling), family, inverted[method].trajectory)


def test_an_edit_of_another_prompt_is_refused(family, picture):
    trajectory = invert(picture, "a dog on a beach", family, sampling=SAMPLING).trajectory

    with pytest.raises(WrongTrajectory):
        again(spec(SWAP), family, trajectory)


def test_pictures_methods_and_settings_have_keys_of_their_own(family, picture, inverted):
    other = Image.fromarray(255 - np.asarray(picture))
    keys = [result.trajectory.key for result in inverted.values()]
    keys.append(invert(other, PROMPT, family, sampling=SAMPLING).trajectory.key)
    keys.append(
        invert(
            picture, PROMPT, family, method="null_text", sampling=SAMPLING, settings={"inner_steps": 1}
        ).trajectory.key
    )

    assert len(set(keys)) == len(METHODS) + 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(48, 32), (20, 36)])
def test_pictures_of_other_sizes_and_shapes_are_inverted_and_edited(family, picture, method, size):
    result = invert(picture.resize(size), PROMPT, family, method=method, sampling=SAMPLING, settings=BRIEF.get(method))
    width, height = size
    edited = again(spec(BLEND, sampling={"height": height, "width": width}), family, result.trajectory)

    assert edited.images[0].size == edited.images[1].size == size


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_null_text_improves_in_half_precision_too(build, picture, dtype):
    """Adam divides by the gradient's size: where that vanishes the embedding becomes no number."""
    family = families.of(calm(build, dtype))
    sampling = Sampling(steps=4, guidance_scale=7.5)
    ddim = invert(picture, PROMPT, family, method="ddim", sampling=sampling)
    null_text = invert(picture, PROMPT, family, method="null_text", sampling=sampling, settings={"inner_steps": 4})

    missed, brought_back = (distance(r.trajectory.latents[-1:].float(), r.latents.float()) for r in (ddim, null_text))
    assert brought_back < families.bounds_of(family).null_text_half * missed
    assert null_text.trajectory.unconditional.context.dtype == dtype


@pytest.mark.parametrize("method", METHODS)
def test_a_model_of_velocities_is_inverted_too(build, picture, method):
    family = families.of(calm(build, prediction_type="v_prediction"))
    result = invert(picture, PROMPT, family, method=method, sampling=SAMPLING, settings=BRIEF.get(method))

    edited = again(spec(SWAP | OFF), family, result.trajectory)
    assert distance(edited.latents[1], guided_loop(family, result.trajectory, SWAP["prompt"])[-1]) < 1e-4


def test_the_source_keeps_the_picture_where_the_last_step_adds_no_noise(build, picture):
    pipeline = calm(build)
    pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, set_alpha_to_one=True)
    family = families.of(pipeline)
    result = invert(picture, PROMPT, family, method="edit_friendly", sampling=SAMPLING)

    assert DDIMWayBack(family.scheduler(4)).deviation(3) == 0
    assert torch.equal(result.trajectory.latents[-1:], result.latents)
    assert torch.isfinite(again(spec(SWAP), family, result.trajectory).latents).all()


def test_steps_of_an_edit_are_those_of_the_run(family, inverted):
    steps = list(edit_again_steps(spec(SWAP), family, inverted["direct"].trajectory))

    assert [(step.index, step.num_steps) for step in steps] == [(i, 4) for i in range(4)]
