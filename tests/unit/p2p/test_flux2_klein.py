"""FLUX.2 klein against diffusers' own pipeline: a template around each prompt, and latents of a position each."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from p2p.edit import edit, edit_again_steps
from p2p.errors import UnsupportedModel, UnsupportedSampling
from p2p.families.flux2_klein import Flux2Klein
from p2p.inversion import invert
from p2p.sampling import noise_streams
from p2p.stepping import result_of
from p2p.tokens import tokenize
from tests import tiny_flows
from tests.unit.p2p.test_edit import BLEND, NO_MAPS, OFF, REFINE, SWAP, spec

TOKENS = 96


def of(pipeline) -> Flux2Klein:
    family = Flux2Klein(pipeline)
    family.text_layers = (1, 2, 3)
    family.read_by(family.tokenizer.limited([TOKENS]))
    return family


@pytest.fixture(scope="module", params=[True, False], ids=["distilled", "base"])
def pipeline(request):
    return tiny_flows.klein(distilled=request.param)


@pytest.fixture(scope="module")
def family(pipeline):
    return of(pipeline)


@pytest.mark.parametrize(("size", "guidance_scale"), [((32, 32), 1.0), ((16, 40), 4.0)])
def test_an_empty_plan_is_the_plain_pipeline(pipeline, family, size, guidance_scale):
    sampling = {"height": size[0], "width": size[1]}
    asked = spec(SWAP | OFF, REFINE | OFF, sampling=sampling, guidance_scale=guidance_scale, **NO_MAPS)
    ours = family.unscaled(edit(asked, family).latents)
    plain = pipeline(
        prompt=["a cat on a beach", SWAP["prompt"], REFINE["prompt"]],
        height=size[0],
        width=size[1],
        num_inference_steps=4,
        guidance_scale=guidance_scale,
        generator=noise_streams(1, 3),
        max_sequence_length=TOKENS,
        text_encoder_out_layers=(1, 2, 3),
        output_type="latent",
    ).images

    # Bit for bit where nothing is guided. The pipeline calls the network once for each side of the guidance, we once
    # for both.
    assert (ours - plain).norm() <= (2e-6 if family.guides(guidance_scale) else 0) * plain.norm()


def test_control_changes_the_edit_and_not_the_source(family):
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        held = edit(spec(SWAP, guidance_scale=1.0), family).latents
    free = edit(spec(SWAP | OFF, guidance_scale=1.0, **NO_MAPS), family).latents

    # Other calls of the same rows: 1e-5 of the latents' unit deviation.
    torch.testing.assert_close(free[0], held[0], rtol=0, atol=1e-5)
    assert (free[1] - held[1]).norm() > 1e-4 * free[1].norm()


def test_prompts_of_the_same_words_give_the_source_again(family):
    whole = {"cross_window": {"stop": 1}, "self_window": {"stop": 1}}
    same = {"prompt": "a cat on a beach", "edits": [{"kind": "reweight", "weights": [{"word": "cat", "weight": 1}]}]}
    latents = edit(spec(same | whole, **NO_MAPS), family).latents

    torch.testing.assert_close(latents[1], latents[0], rtol=0, atol=1e-5)


def test_what_the_template_says_corresponds_and_is_no_word(family):
    before, after = (tokenize(prompt, family.tokenizer) for prompt in ("a cat on a beach", REFINE["prompt"]))
    (source,), (target,) = before.segments, after.segments

    assert source.head == target.head > 0
    assert source.tail == target.tail > 0
    assert [prompt.ids[: prompt.head] for prompt in (source, target)] == [source.ids[: source.head]] * 2
    ends = [range(len(prompt.ids) - prompt.tail, TOKENS) for prompt in (source, target)]
    assert [source.tails(), target.tails()] == [[end] for end in ends]
    named = target.named("red")
    assert named
    assert all(target.head <= position < len(target.ids) - target.tail for position in named)


def test_the_mapper_of_a_refinement_has_one_source_for_each_shared_token_and_the_padding(family):
    from p2p.alignment import refinement_mapper

    before, after = (tokenize(prompt, family.tokenizer) for prompt in ("a cat on a beach", REFINE["prompt"]))
    mapper, new = refinement_mapper(before, after), after.named("red")

    assert mapper.sum(0).max() == 1
    assert not mapper[:, list(new)].any()
    (source,), (target,) = before.segments, after.segments
    for offset in range(1, target.tail + 1):
        assert mapper[len(source.ids) - offset, len(target.ids) - offset] == 1


def test_a_photo_and_a_kept_source_are_edited(family):
    picture = torch.randn((1, 16, 8, 8), generator=torch.Generator().manual_seed(3))
    asked = spec(BLEND)
    found = invert(picture, "a cat on a beach", family, sampling=asked.sampling).trajectory
    edited = result_of(edit_again_steps(asked, family, found))

    assert torch.equal(edited.latents[:1], picture)
    assert edited.images[1].size == (32, 32)


def test_pixels_come_back_as_the_latents_that_the_network_sees(family):
    pixels = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(2))
    vae = family.pipeline.vae
    plain = family.pipeline._encode_vae_image(pixels * 2 - 1, None)

    assert torch.allclose(family.encode(pixels), plain, atol=1e-6)
    assert family.decode(family.encode(pixels)).shape == pixels.shape
    assert vae.bn.running_mean.abs().max() > 0  # so that the comparison says something


def test_a_distilled_model_takes_no_negative_prompt(family):
    if family.guides(4.0):
        return
    with pytest.raises(UnsupportedSampling, match="takes guidance as an input"):
        edit(spec(SWAP, sampling={"negative_prompt": "a red car"}), family)


def test_another_template_is_refused(pipeline):
    own = pipeline.tokenizer.chat_template
    pipeline.tokenizer.chat_template = own.replace("assistant", "helper")
    try:
        with pytest.raises(UnsupportedModel, match="another chat template"):
            Flux2Klein(pipeline)
    finally:
        pipeline.tokenizer.chat_template = own
