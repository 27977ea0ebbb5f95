"""The family that draws tokens, against diffusers' own pipeline of it."""

import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from p2p.attention.sites import Keys
from p2p.cohort.cohort import Cohort
from p2p.edit import edit, edit_again_steps, edit_steps
from p2p.errors import UnsupportedInversion, UnsupportedModel, UnsupportedPicture, UnsupportedSampling, UnsupportedSize
from p2p.families import load
from p2p.families.amused import Amused
from p2p.families.packed import pack
from p2p.inversion import invert
from p2p.inversion.fidelity import fidelity
from p2p.layouts.model_files import EmbeddingFile, LoraFile, ModelFiles
from p2p.previews import MAX_SIDE, preview
from p2p.sampling import DenoisingStep
from p2p.spec import METHODS, Sampling
from p2p.stepping import result_of
from p2p.trajectory_file import dumped, loaded
from tests import tiny_amused
from tests.cohorts import to_the_end
from tests.short_specs import BLEND, NO_MAPS, OFF, REFINE, SWAP, spec


@pytest.fixture(scope="module")
def pipeline():
    return tiny_amused.pipeline()


@pytest.fixture(scope="module")
def family(pipeline):
    return Amused(pipeline)


def stock(pipeline, prompt: str, steps: int, guidance_scale: float, seed: int = 1, **further) -> torch.Tensor:
    return pipeline(
        prompt,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
        **further,
    ).images


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0, 6.0])
def test_an_empty_plan_is_the_plain_pipeline_token_for_token(pipeline, family, guidance_scale):
    """Each prompt alone: the pipeline draws the prompts of a batch one after the other, from one stream."""
    differing = {}
    for steps in range(1, 13):
        ours = edit(spec(SWAP | OFF, steps=steps, guidance_scale=guidance_scale, **NO_MAPS), family).latents
        for row, prompt in enumerate(["a cat on a beach", SWAP["prompt"]]):
            plain = stock(pipeline, prompt, steps, guidance_scale)
            differing[steps, prompt] = (ours[row] != plain).sum().item()

    assert {case: count for case, count in differing.items() if count} == {}


@pytest.mark.parametrize(("height", "width"), [(32, 48), (16, 32)])
def test_the_width_comes_first_in_what_the_network_is_told(pipeline, family, height, width):
    sampling = {"height": height, "width": width}
    ours = edit(spec(SWAP | OFF, guidance_scale=3.0, sampling=sampling, **NO_MAPS), family).latents

    assert torch.equal(ours[0], stock(pipeline, "a cat on a beach", 4, 3.0, height=height, width=width))


def test_the_pictures_are_those_of_the_plain_pipeline(pipeline, family):
    ours = edit(spec(SWAP | OFF, guidance_scale=3.0, **NO_MAPS), family)
    plain = pipeline(
        "a cat on a beach",
        num_inference_steps=4,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(1),
        output_type="pt",
    ).images

    assert torch.allclose(family.decode(ours.latents[:1]), plain, atol=1e-5)  # rounding of another batch


def test_a_negative_prompt_is_that_of_the_plain_pipeline(pipeline, family):
    ours = edit(spec(SWAP | OFF, sampling={"negative_prompt": "a red car"}, **NO_MAPS), family).latents

    assert torch.equal(ours[0], stock(pipeline, "a cat on a beach", 4, 5.0, negative_prompt="a red car"))


@pytest.mark.parametrize("order", ["own", "source", "held"])
def test_the_source_is_the_same_with_and_without_control(family, order):
    free, held = (
        edit(spec(*targets, sampling={"order": order}, **NO_MAPS), family).latents
        for targets in [(SWAP | OFF, REFINE | OFF), (BLEND, REFINE)]
    )

    assert torch.equal(free[0], held[0])
    assert not torch.equal(free[1:], held[1:])


def test_outside_of_a_blend_the_tokens_are_the_sources(family):
    result = edit(spec(SWAP | {"local_blend": {"words": [{"word": "dog"}], "threshold": 0.9}}), family)
    (mask,) = result.masks

    # The mask is that of the pixels that are kept, which is wider than the one of the tokens.
    pieces = torch.from_numpy(mask > 0).unfold(0, *[family.scale_factor] * 2).unfold(1, *[family.scale_factor] * 2)
    outside = ~pieces.flatten(2).any(2)
    assert outside.any()
    assert torch.equal(result.latents[1, 0][outside], result.latents[0, 0][outside])
    assert [len(maps) for maps in result.maps] == [5, 5]


@pytest.mark.parametrize("order", ["own", "source", "held"])
def test_an_edit_of_a_kept_source_is_the_edit(family, order):
    asked = spec(BLEND, sampling={"order": order})
    kept = edit(spec(REFINE), family, keep=True).trajectory
    back = loaded(dumped(kept))

    again = result_of(edit_again_steps(asked, family, back))

    assert back.latents.dtype == torch.int64
    assert torch.equal(again.latents, edit(asked, family).latents)


def test_each_job_of_a_cohort_is_what_it_is_alone():
    pipeline = tiny_amused.pipeline()
    for network in (pipeline.transformer, pipeline.vqvae.decoder):
        pack(network)
    family = Amused(pipeline)
    asked = [
        spec(target, seed=seed, steps=3 + seed, sampling={"order": order})
        for seed, (target, order) in enumerate([(BLEND, "own"), (REFINE, "source"), (SWAP, "held")])
    ]
    cohort = Cohort(family)
    members = [cohort.join(each) for each in asked]
    results = to_the_end(cohort).results

    for member, each in zip(members, asked, strict=True):
        assert torch.equal(results[member].latents, edit(each, family).latents)


def test_a_preview_is_of_what_a_step_foretold_and_never_of_masked_tokens(family):
    steps = edit_steps(spec(BLEND), family)
    step = next(steps)

    assert (step.latents == tiny_amused.VOCABULARY - 1).any()
    assert (step.clean() < tiny_amused.CODEBOOK).all()
    assert [picture.size for picture in preview(step, family)] == [(32, 32)] * 2
    with pytest.raises(ValueError, match="masked tokens is no picture yet"):
        family.decode(step.latents)
    steps.close()


def test_a_preview_of_a_large_picture_is_decoded_and_then_made_smaller(family):
    grids = torch.zeros(2, 1, 160, 80, dtype=torch.int64)

    assert {picture.size for picture in preview(DenoisingStep(0, 2, grids, lambda: grids), family)} == {(128, MAX_SIDE)}


def test_both_attentions_of_a_convolutional_block_look_at_the_text(family):
    text = {site.name for site in family.attention_sites() if site.keys is Keys.TEXT}

    assert {name for name in text if "attn1" in name} == {
        f"{block}.attention_blocks.0.attn1.processor" for block in ("down_block", "up_block")
    }
    assert sum(site.keys is Keys.IMAGE for site in family.attention_sites()) == 2


def photo() -> Image.Image:
    noise = torch.rand(4, 4, 3, generator=torch.Generator().manual_seed(7)) * 255
    return Image.fromarray(noise.to(torch.uint8).numpy()).resize((32, 32))


def test_a_picture_without_an_edit_comes_back_as_its_own_tokens(family):
    """Of the target: without an edit it draws from the same probabilities as the source."""
    asked = spec({"prompt": "a cat on a beach", "edits": [{"kind": "refine"}]} | OFF)
    tokens = family.encode(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3)))
    for method in ("edit_friendly", "direct"):
        found = invert(tokens, "a cat on a beach", family, method=method, sampling=asked.sampling)
        again = result_of(edit_again_steps(asked, family, found.trajectory)).latents
        assert torch.equal(again[:1], tokens)
        if method == "edit_friendly":
            assert torch.equal(again[1:], tokens)


@pytest.mark.parametrize("method", ["edit_friendly", "direct"])
def test_the_loss_of_a_photo_is_the_autoencoders_alone(family, method):
    picture = photo()
    result = invert(picture, "a cat on a beach", family, method=method, sampling=Sampling(steps=3, guidance_scale=3.0))

    said = fidelity(picture, result, family)

    assert (said.psnr, said.ssim) == (said.autoencoder_psnr, said.autoencoder_ssim)
    assert result.unet_evaluations == 6  # one guided pass
    assert torch.equal(loaded(dumped(result.trajectory)).latents[-1:], result.latents)


def test_hindsight_holds_more_of_a_photo_than_the_seeds_own_noise(family):
    tokens = family.encode(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3)))
    asked = spec(SWAP, steps=6, guidance_scale=3.0)
    kept = {}
    for method in ("edit_friendly", "direct"):
        found = invert(tokens, "a cat on a beach", family, method=method, sampling=asked.sampling).trajectory
        edited = result_of(edit_again_steps(asked, family, found)).latents[1:]
        kept[method] = (edited == tokens).float().mean().item()

    assert kept["edit_friendly"] > kept["direct"] + 0.1


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"edit_friendly", "direct"}))
def test_inversions_that_need_latents_are_refused_by_name(family, method):
    with pytest.raises(UnsupportedInversion, match=rf'this model draws tokens: {method} .* Ask for "edit_friendly"'):
        invert(photo(), "a cat on a beach", family, method=method)


@pytest.mark.parametrize("name", ["ddim", "euler", "lcm"])
def test_a_scheduler_of_latents_is_refused_by_name(family, name):
    with pytest.raises(UnsupportedSampling, match=f"draws tokens, and {name} removes noise"):
        edit(spec(SWAP, sampling={"scheduler": name}), family)


def test_the_starting_noise_of_latents_is_refused(family):
    with pytest.raises(UnsupportedSampling, match="leave it out"):
        edit(spec(SWAP), family, noise=torch.randn(1, 4, 16, 16))


@pytest.mark.parametrize(
    "tokens",
    [torch.zeros(1, 1, 16, 16), torch.full((1, 1, 16, 16), tiny_amused.CODEBOOK), torch.full((1, 1, 16, 16), -1)],
    ids=["no whole numbers", "the codebook's end", "below zero"],
)
def test_tokens_that_no_picture_has_are_refused(family, tokens):
    with pytest.raises(UnsupportedPicture, match="tokens are"):
        invert(tokens, "a cat on a beach", family)


@pytest.mark.parametrize(("downsample", "refused"), [(False, 65), (True, 66)])
def test_sides_that_the_model_cannot_take_are_refused(downsample, refused):
    family = Amused(tiny_amused.pipeline(network={"downsample": downsample, "upsample": downsample}))

    assert family.latent_shape(64, 72) == (1, 32, 36)
    with pytest.raises(UnsupportedSize, match=f"must be multiples of {4 if downsample else 2}"):
        family.latent_shape(64, refused)


def test_a_model_that_samples_down_is_the_plain_pipeline_too():
    pipeline = tiny_amused.pipeline(network={"downsample": True, "upsample": True})
    family = Amused(pipeline)

    ours = edit(spec(SWAP | OFF, guidance_scale=3.0, **NO_MAPS), family).latents

    assert {site.factor for site in family.attention_sites()} == {2}
    assert torch.equal(ours[0], stock(pipeline, "a cat on a beach", 4, 3.0))
    assert len(edit(spec(BLEND), family).maps) == 2


@pytest.mark.parametrize("masked", [tiny_amused.CODEBOOK - 1, tiny_amused.VOCABULARY])
def test_a_masked_token_that_is_a_code_or_unknown_is_refused(masked):
    pipeline = tiny_amused.pipeline()
    pipeline.scheduler.register_to_config(mask_token_id=masked)

    with pytest.raises(UnsupportedModel, match=f"mask_token_id {masked}, and amused handles 96 to 103"):
        Amused(pipeline)


@pytest.fixture(scope="module")
def folder(pipeline, tmp_path_factory):
    path = tmp_path_factory.mktemp("amused")
    pipeline.save_pretrained(path)
    return path


def test_it_is_loaded_part_by_part_without_the_deprecated_pipeline(folder, family):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load("amused", str(folder))

    asked = spec(BLEND, **NO_MAPS)
    assert torch.equal(edit(asked, found).latents, edit(asked, family).latents)


def test_float16_is_refused_where_the_autoencoder_overflows_in_it(folder, tmp_path):
    pipeline = tiny_amused.pipeline()
    pipeline.vqvae.register_to_config(force_upcast=True)
    pipeline.save_pretrained(tmp_path)

    with pytest.raises(UnsupportedModel, match=r'vqvae says force_upcast: it overflows.*torch_dtype = "bfloat16"'):
        load("amused", str(tmp_path), dtype=torch.float16)
    half = load("amused", str(tmp_path), dtype=torch.bfloat16)
    assert (half.dtype, half.vq.dtype) == (torch.bfloat16, torch.float32)
    assert edit(spec(SWAP), half).latents.dtype == torch.int64
    load("amused", str(folder), dtype=torch.float16)


def test_a_scheduler_that_is_declared_in_place_of_its_own_is_refused(folder):
    with pytest.raises(UnsupportedModel, match=r"DDIMScheduler.*draws tokens.*take `scheduler` out"):
        load("amused", str(folder), scheduler="ddim")


def lora(file: Path, layer: str = "transformer.transformer_layers.0.attn2.to_v") -> Path:
    draw = torch.Generator().manual_seed(4)
    sides = {"A": torch.randn(2, 32, generator=draw), "B": torch.randn(32, 2, generator=draw)}
    save_file({f"{layer}.lora_{side}.weight": tensor for side, tensor in sides.items()}, file)
    return file


def test_a_lora_is_fused_or_asked_for_with_the_same_tokens_and_leaves_the_model_whole(folder, tmp_path):
    path = str(lora(tmp_path / "lora.safetensors"))
    fused = load("amused", ModelFiles(str(folder), loras=(LoraFile(path, 0.7),)))
    offered = load("amused", ModelFiles(str(folder), lora_choices={"ink": path}))
    plain = edit(spec(SWAP), offered).latents

    asked = edit(spec(SWAP, loras=[{"id": "ink", "weight": 0.7}]), offered).latents

    assert torch.equal(asked, edit(spec(SWAP), fused).latents)
    assert not torch.equal(asked, plain)
    assert torch.equal(edit(spec(SWAP), offered).latents, plain)


def test_a_lora_of_the_text_encoder_is_refused(folder, tmp_path):
    path = str(lora(tmp_path / "lora.safetensors", "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"))

    with pytest.raises(UnsupportedModel, match="changes 1 layers, and this model has 0 of them"):
        load("amused", ModelFiles(str(folder), loras=(LoraFile(path),)))


def test_a_learned_word_is_read_as_a_word(folder, tmp_path):
    file = tmp_path / "toy.safetensors"
    save_file({"<toy>": torch.randn(2, 32, generator=torch.Generator().manual_seed(5))}, file)
    family = load("amused", ModelFiles(str(folder), embeddings=(EmbeddingFile(str(file), "<toy>"),)))

    asked = {"prompt": "a <toy> on a beach", "edits": [{"kind": "replace"}]}
    maps = edit(spec(asked), family).maps[1]

    assert [len(word.tokens) for word in maps if "toy" in word.word] == [2]
