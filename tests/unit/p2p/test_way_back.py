"""The DDIM sampler's way back is its own steps' inverse, at every spacing; and what cannot be inverted is refused."""

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler
from PIL import Image

from p2p.errors import PromptTooLong, UnsupportedInversion, UnsupportedPicture, UnsupportedSize
from p2p.families.stable_diffusion import StableDiffusion
from p2p.inversion import invert
from p2p.samplers.ddim import DDIMWayBack
from p2p.samplers.signal import signal_around
from p2p.spec import Sampling
from tests import tiny

#: Stable Diffusion 1.x's (hub), as its pipelines load it with DDIM.
SD1 = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
PICTURE = Image.new("RGB", (32, 32), (200, 100, 50))
FEW = Sampling(steps=4, guidance_scale=5.0)


def scheduler(steps: int, **config) -> DDIMScheduler:
    made = DDIMScheduler(**SD1 | config)
    made.set_timesteps(steps)
    return made


@pytest.mark.parametrize("steps", [1, 6, 20, 50])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("set_alpha_to_one", [False, True])
def test_a_step_back_undoes_a_step_that_sees_the_same_noise(steps, spacing, prediction_type, set_alpha_to_one):
    made = scheduler(
        steps, timestep_spacing=spacing, prediction_type=prediction_type, set_alpha_to_one=set_alpha_to_one
    )
    latents, seen = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    for index in range(steps):
        alpha, _ = signal_around(made, index)

        def output(of: torch.Tensor, alpha=alpha) -> torch.Tensor:
            """What a model that sees the noise `seen` predicts."""
            return seen if prediction_type == "epsilon" else (seen - (1 - alpha) ** 0.5 * of) / alpha**0.5

        after = made.step(output(latents), made.timesteps[index], latents).prev_sample
        # In float32 the noisiest step divides by an alpha of 0.07 (0.005 squared off), there and back.
        back = DDIMWayBack(made).back(output(after), index, after)
        torch.testing.assert_close(back, latents, rtol=0, atol=2e-4)


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_the_noise_at_eta_one_is_the_schedulers(spacing):
    made = scheduler(7, timestep_spacing=spacing)
    way = DDIMWayBack(made)
    latents, noise, output = torch.randn(3, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    for index, timestep in enumerate(made.timesteps):
        stepped = made.step(output, timestep, latents, eta=1.0, variance_noise=noise).prev_sample
        expected = way.mean(output, index, latents) + way.deviation(index) * noise
        torch.testing.assert_close(stepped, expected)


@pytest.mark.parametrize("kind", [PNDMScheduler, EulerDiscreteScheduler])
def test_a_scheduler_without_a_way_back_is_refused_by_name(kind):
    pipeline = tiny.pipeline()
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config)

    with pytest.raises(UnsupportedInversion, match=f"{kind.__name__} cannot be run backwards.*DDIMScheduler"):
        invert(PICTURE, "a cat", StableDiffusion(pipeline), sampling=FEW)


def test_a_picture_is_inverted_on_the_scheduler_that_is_asked_for():
    pipeline = tiny.pipeline()
    own = StableDiffusion(pipeline)
    pipeline = tiny.pipeline()
    pipeline.scheduler = PNDMScheduler.from_config(pipeline.scheduler.config, skip_prk_steps=True)
    other = StableDiffusion(pipeline)

    asked = invert(PICTURE, "a cat", other, sampling=FEW.model_copy(update={"scheduler": "ddim"})).trajectory

    assert torch.equal(asked.latents, invert(PICTURE, "a cat", own, sampling=FEW).trajectory.latents)


@pytest.mark.parametrize(
    ("method", "setting", "said"),
    [
        ("ddim", {"clip_sample": True}, "clip_sample"),
        ("negative_prompt", {"thresholding": True}, "thresholding"),
        ("null_text", {"thresholding": True}, "thresholding.*ask for the inversion direct or edit_friendly"),
        ("direct", {"prediction_type": "sample"}, "'sample'"),
    ],
)
def test_a_setting_that_loses_something_is_refused_by_name(method, setting, said):
    pipeline = tiny.pipeline()
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, **setting)

    with pytest.raises(UnsupportedInversion, match=said):
        invert(PICTURE, "a cat", StableDiffusion(pipeline), method=method, sampling=FEW)


@pytest.fixture(scope="module")
def family():
    return StableDiffusion(tiny.pipeline())


@pytest.mark.parametrize(
    ("method", "sampling", "said"),
    [
        ("no_such", {}, "'no_such' is not an inversion: use one of direct, "),
        ("null_text", {"guidance_scale": 1.0}, "needs guidance, and its scale is 1"),
        ("negative_prompt", {"negative_prompt": "a car"}, "the negative prompt 'a car'"),
    ],
)
def test_an_inversion_that_cannot_be_is_refused(family, method, sampling, said):
    with pytest.raises(UnsupportedInversion, match=said):
        invert(PICTURE, "a cat", family, method=method, sampling=FEW.model_copy(update=sampling))


@pytest.mark.parametrize(
    ("picture", "sampling", "said"),
    [
        (PICTURE.convert("RGBA"), {}, "mode RGBA was given and RGB is needed"),
        (PICTURE, {"height": 40}, "give a picture of the size that is asked for"),
        (torch.zeros(1, 3, 16, 16), {}, r"\(1, 3, 16, 16\) were given and \(1, 4, height, width\)"),
        (torch.zeros(2, 4, 16, 16), {}, r"\(2, 4, 16, 16\) were given"),
        (torch.zeros(4, 16, 16), {}, r"\(4, 16, 16\) were given"),
    ],
)
def test_a_picture_that_is_no_input_of_the_model_is_refused(family, picture, sampling, said):
    with pytest.raises(UnsupportedPicture, match=said):
        invert(picture, "a cat", family, sampling=FEW.model_copy(update=sampling))


def test_a_picture_of_a_size_that_latents_cannot_have_is_refused(family):
    with pytest.raises(UnsupportedSize, match="multiples of 2"):
        invert(PICTURE.resize((33, 32)), "a cat", family, sampling=FEW)


def test_a_prompt_that_the_model_does_not_read_to_its_end_is_refused(family):
    with pytest.raises(PromptTooLong):
        invert(PICTURE, "xyz " * 10, family, sampling=FEW)


def test_a_picture_and_its_latents_are_inverted_alike(family):
    of_picture = invert(PICTURE, "a cat", family, sampling=FEW)
    of_latents = invert(of_picture.latents, "a cat", family, sampling=FEW)

    assert torch.equal(of_picture.trajectory.noise, of_latents.trajectory.noise)


def test_the_autoencoders_latents_are_the_pipelines(family):
    """The mean, scaled; nothing drawn."""
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    vae = family.pipeline.vae
    with torch.no_grad():
        expected = vae.encode(pixels * 2 - 1).latent_dist.mean * vae.config.scaling_factor

    assert torch.equal(family.encode(pixels), expected)


def test_the_gradient_is_the_networks_own_and_checkpointing_computes_it(family, monkeypatch):
    text = family.encode_prompts(["a cat"])
    text.context.requires_grad_()
    latents, timestep = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor(500)
    was_on, forward = [], family.network.forward

    def recorded(*args, **kwargs):
        was_on.append(family.network.is_gradient_checkpointing)
        return forward(*args, **kwargs)

    (expected,) = torch.autograd.grad(forward(latents, timestep, text.context)[0].square().sum(), text.context)
    monkeypatch.setattr(family.network, "forward", recorded)
    found = family.predict_differentiable(latents, timestep, text)
    (gradient,) = torch.autograd.grad(found.square().sum(), text.context)

    assert was_on == [True]
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-5)
