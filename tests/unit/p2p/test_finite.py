"""Values that are no numbers never become pictures: the model's, the autoencoder's, and those of a photo."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from p2p.edit import edit, edit_again_steps, edit_steps
from p2p.errors import NotFinite
from p2p.families.base import ModelFamily
from p2p.families.packed import pack
from p2p.families.stable_diffusion import StableDiffusion
from p2p.finite import FiniteWatch, finite_or_again, in_float32
from p2p.inversion import INVERSIONS, invert
from p2p.previews import preview
from p2p.samplers.gaussian import GaussianSampler
from p2p.sampling import DenoisingStep
from p2p.spec import Sampling
from p2p.stepping import made_of, result_of
from tests import families, tiny
from tests.short_specs import BLEND, NO_MAPS, SWAP, spec

pytestmark = pytest.mark.needs("latents")


NAN, INFINITE = float("nan"), float("inf")
#: As large as a float16 weight may be: a sum of a few goes beyond 65504, where float16 ends. float32 has no trouble.
TOO_LARGE = 6e4


def spoilt(
    *path: str,
    value: float = NAN,
    dtype: torch.dtype = torch.float32,
    build: Callable[[], DiffusionPipeline] = tiny.pipeline,
) -> ModelFamily:
    """A tiny model with one weight of one layer that is no number."""
    pipeline = build()
    layer = getattr(pipeline, path[0]).get_submodule(".".join(path[1:]))
    with torch.no_grad():
        layer.weight.view(-1)[0] = value
    return families.of(pipeline.to(dtype))


def overflowing(
    part: str, dtype: torch.dtype = torch.float16, build: Callable[[], DiffusionPipeline] = tiny.pipeline
) -> ModelFamily:
    """A tiny model whose autoencoder goes beyond float16's largest number in its first layer; the next one normalises.

    Args:
        part: "encoder" or "decoder".
    """
    pipeline = build()
    first = pipeline.vae.get_submodule(part).conv_in
    with torch.no_grad():
        first.weight.mul_(TOO_LARGE / first.weight.abs().max())
    return families.of(pipeline.to(dtype))


@pytest.fixture
def picture() -> Image.Image:
    generator = np.random.default_rng(1)
    return Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8))


def test_a_model_with_a_weight_that_is_no_number_fails_at_its_first_step():
    steps = edit_steps(spec(SWAP, **NO_MAPS), spoilt("unet", "conv_in"))

    with pytest.raises(NotFinite, match=r"the latents are not finite in float32.*weights are damaged"):
        next(steps)


def test_in_half_precision_the_message_says_which_setting_helps():
    with pytest.raises(NotFinite, match="DTYPE=float32"):
        edit(spec(SWAP, **NO_MAPS), spoilt("unet", "conv_in", dtype=torch.float16))


def test_the_attention_of_a_model_that_failed_is_the_stock_one_again():
    family = spoilt("unet", "conv_out")
    before = dict(family.network.attn_processors)

    with pytest.raises(NotFinite):
        edit(spec(BLEND), family)

    assert family.network.attn_processors == before


@pytest.mark.parametrize("value", [NAN, INFINITE, -INFINITE])
@pytest.mark.parametrize("at", [0, 2, 3])
def test_a_run_fails_at_the_step_that_was_not_finite_even_if_later_ones_would_be(at, value, monkeypatch):
    """A scheduler may clip them."""
    done, step = [], GaussianSampler.step

    def poisoned(self, prediction, index, *args):
        latents = step(self, prediction, index, *args).nan_to_num()
        if index == at:
            latents[1, 2, 3, 4] = value
        return latents

    monkeypatch.setattr(GaussianSampler, "step", poisoned)
    steps = made_of(edit_steps(spec(SWAP, **NO_MAPS), StableDiffusion(tiny.pipeline())), lambda made: [made.index])
    with pytest.raises(NotFinite):
        done.extend(steps)

    assert done == list(range(at))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_device_no_step_waits_and_the_end_is_certain():
    watch, large = FiniteWatch("the latents"), torch.randn(4096, 4096, device="cuda")
    watch.note(torch.full((1,), NAN, device="cuda"))
    for _ in range(20):  # keeps the device busy, so that the copy cannot have arrived
        large = large @ large / 4096
    with pytest.raises(NotFinite):
        watch.require()


def test_a_decoder_with_a_weight_that_is_no_number_fails_and_draws_nothing():
    family = spoilt("vae", "decoder", "conv_out")

    with pytest.raises(NotFinite, match="the pixels are not finite in float32"):
        edit(spec(SWAP, **NO_MAPS), family)


def test_a_decoder_that_is_infinite_is_not_taken_for_white():
    """Clamped to 0..1, infinity would be white."""
    pipeline = tiny.pipeline()
    with torch.no_grad():
        pipeline.vae.decoder.conv_out.bias.fill_(INFINITE)

    with pytest.raises(NotFinite, match="the pixels"):
        edit(spec(SWAP, **NO_MAPS), StableDiffusion(pipeline))


def test_a_damaged_decoder_in_half_precision_fails_after_it_was_tried_in_float32():
    family = spoilt("vae", "decoder", "conv_out", dtype=torch.float16)

    with pytest.raises(NotFinite, match="the pixels are not finite in float32"):
        edit(spec(SWAP, **NO_MAPS), family)
    assert family.pipeline.vae.dtype == torch.float16


def test_a_decoder_that_overflows_in_half_precision_is_run_again_in_float32():
    family, whole = overflowing("decoder"), overflowing("decoder").pipeline.vae.float()
    weights = {name: (weight, weight.clone()) for name, weight in family.pipeline.vae.state_dict().items()}
    latents = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0)).half()
    with torch.no_grad():
        assert not family.pipeline.vae.decode(latents, return_dict=False)[0].isfinite().all()
        wanted = [whole.decode(row.float() / 0.18215, return_dict=False)[0] for row in latents.split(1)]

    pixels = family.decode(latents)

    assert torch.equal(pixels, (torch.cat(wanted) / 2 + 0.5).clamp(0, 1))
    assert pixels.std() > 0
    for name, weight in family.pipeline.vae.state_dict().items():
        before, content = weights[name]
        assert weight.dtype == torch.float16
        assert weight.data_ptr() == before.data_ptr()  # put back, not cast back
        assert torch.equal(weight, content)


def test_an_edit_of_a_model_whose_decoder_overflows_has_its_pictures():
    result = edit(spec(SWAP, BLEND, **NO_MAPS), overflowing("decoder"))

    assert all(np.asarray(image).std() > 0 for image in result.images)


def test_a_decoder_that_does_not_overflow_is_run_once():
    family, calls = StableDiffusion(tiny.pipeline().to(torch.float16)), []
    family.pipeline.vae.decoder.register_forward_hook(lambda *_: calls.append(1))

    edit(spec(SWAP, **NO_MAPS), family)

    assert len(calls) == 1


def test_a_network_that_fails_in_float32_is_put_back_too():
    vae = tiny.pipeline().vae.half()

    def fail() -> None:
        with in_float32(vae):
            assert vae.dtype == torch.float32
            raise MemoryError

    with pytest.raises(MemoryError):
        fail()
    assert {weight.dtype for weight in vae.parameters()} == {torch.float16}


def test_weights_that_are_packed_are_packed_anew_for_each_precision():
    decoder, plain = (tiny.pipeline().vae.bfloat16().decoder for _ in range(2))
    pack(decoder)
    rows = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = decoder(rows.bfloat16())
        with in_float32(decoder), in_float32(plain):
            in_full, wanted = decoder(rows), plain(rows)
        after = decoder(rows.bfloat16())

    assert torch.equal(before, after)
    # oneDNN sums in another order; bfloat16 would miss by 1e-2.
    torch.testing.assert_close(in_full, wanted, rtol=0, atol=1e-5)


def test_an_encoder_that_overflows_in_half_precision_is_run_again_in_float32(picture):
    family, whole = overflowing("encoder"), overflowing("encoder").pipeline.vae.float()
    pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        assert not family.pipeline.vae.encode((pixels * 2 - 1).half()).latent_dist.mean.isfinite().all()
        wanted = whole.encode(pixels * 2 - 1).latent_dist.mean * 0.18215

    assert torch.equal(family.encode(pixels), wanted.half())
    assert family.pipeline.vae.dtype == torch.float16


def test_a_run_whose_pictures_overflow_is_made_again_and_the_run_beside_it_is_not():
    vae, calls = tiny.pipeline().to(torch.float16).vae, []

    def made(rows):
        calls.append((len(rows), vae.dtype))
        return rows.to(vae.dtype) * TOO_LARGE

    rows = torch.tensor([0.3, 2.0, 0.3, 0.7], dtype=torch.float16)[:, None]
    found = finite_or_again(made, rows, vae, "the pixels", runs=[0, 0, 1, 1])

    assert calls == [(4, torch.float16), (1, torch.float32), (1, torch.float32)]
    assert torch.equal(found[2:], (rows[2:] * TOO_LARGE).float())
    assert torch.equal(found[:2], rows[:2].float() * TOO_LARGE)


def test_a_photo_is_inverted_and_edited_by_a_model_whose_autoencoder_overflows(picture):
    family, sampling = overflowing("encoder"), Sampling(steps=4, guidance_scale=5.0)
    trajectory = invert(picture, "a cat on a beach", family, sampling=sampling).trajectory

    result = result_of(
        edit_again_steps(spec(SWAP, sampling={"height": 32, "width": 32}, **NO_MAPS), family, trajectory)
    )

    assert trajectory.latents.isfinite().all()
    assert all(np.asarray(image).std() > 0 for image in result.images)


@pytest.mark.parametrize("method", INVERSIONS)
@pytest.mark.parametrize(
    ("part", "said"),
    [
        (("vae", "encoder", "conv_in"), "the latents of the picture are"),
        (("unet", "conv_in"), "the latents of the picture's inversion"),
    ],
)
def test_a_photo_whose_inversion_is_no_number_has_no_trajectory(picture, method, part, said):
    with pytest.raises(NotFinite, match=said):
        invert(picture, "a cat", spoilt(*part), method=method, sampling=Sampling(steps=3, guidance_scale=3.0))


def test_an_inversion_stops_at_the_first_step_that_is_not_finite(picture):
    family, calls = spoilt("unet", "conv_in"), []
    family.network.register_forward_hook(lambda *_: calls.append(1))

    with pytest.raises(NotFinite):
        invert(picture, "a cat", family, sampling=Sampling(steps=20))

    assert len(calls) == 1


def test_a_preview_of_what_is_no_number_is_refused_and_never_black():
    step = DenoisingStep(0, 4, torch.zeros(1), clean=lambda: torch.full((2, 4, 16, 16), NAN))

    with pytest.raises(NotFinite):
        preview(step, StableDiffusion(tiny.pipeline()))


def test_a_watch_takes_values_of_any_precision_and_place():
    watch = FiniteWatch("the latents")
    for dtype, shape in itertools.product([torch.float16, torch.bfloat16, torch.float32], [(1,), (2, 4, 8, 8)]):
        watch.note(torch.full(shape, 3e4, dtype=dtype))
    watch.require()
