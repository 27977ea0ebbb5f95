"""Z-Image and Qwen-Image, whose texts have as many positions as their prompts: shorter ones have a mask."""

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from p2p.attention.joint import joint_layout
from p2p.attention.layout import EditedRow
from p2p.edit import edit
from p2p.errors import UnsupportedModel, UnsupportedSampling, UnsupportedSize
from p2p.tokens import tokenize
from tests import families, tiny_flows
from tests.plain_flows import plainly
from tests.short_specs import BLEND, NO_MAPS, OFF, SWAP, spec

#: More than 32 tokens with its template, where the source has fewer.
LONG = {
    "prompt": "a cat on a red beach at night and the dog on the red car at the beach on the night the cat a dog the",
    "edits": [{"kind": "refine"}],
}
MADE = {"z_image": tiny_flows.z_image, "qwen_image": tiny_flows.qwen_image}


@pytest.fixture(scope="module", params=MADE)
def family(request):
    return families.of(MADE[request.param]())


@pytest.mark.parametrize("guidance_scale", [0.0, 5.0])
def test_prompts_of_other_lengths_beside_each_other_are_the_plain_pipelines(family, guidance_scale):
    ours = edit(spec(SWAP | OFF, LONG | OFF, guidance_scale=guidance_scale, **NO_MAPS), family).latents
    plain = plainly(family, ["a cat on a beach", SWAP["prompt"], LONG["prompt"]], guidance_scale=guidance_scale)

    # Bit for bit, and as near as other families with guidance (`test_flows.py`).
    assert (ours - plain).norm() <= (2e-6 if guidance_scale else 0) * plain.norm()


@pytest.mark.parametrize("target", [LONG, LONG | {"mass": "mass_matched"}])
def test_an_edit_into_more_words_changes_the_edit_and_not_the_source(family, target):
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # a mask too is taken by the kernel without the matrix
        held = edit(spec(target, BLEND), family).latents
    free = edit(spec(LONG | OFF, SWAP | OFF), family).latents

    # Other calls of the same rows: 1e-5 of the latents' unit deviation.
    torch.testing.assert_close(free[0], held[0], rtol=0, atol=1e-5)
    assert (free[1] - held[1]).norm() > 1e-3 * free[1].norm()


def test_a_longer_prompt_beside_it_changes_an_edit_by_rounding_alone(family):
    alone = edit(spec(SWAP, **NO_MAPS), family).latents
    beside = edit(spec(SWAP, LONG, **NO_MAPS), family).latents

    # The masked columns are there in one of them: 1e-5 of the latents' unit deviation.
    torch.testing.assert_close(beside[:2], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", ["qiki", "qk", "T2I", "I2I"])
def test_the_published_method_takes_no_attention_of_padding(family, method):
    """In blocks that there are none of, nothing is taken: the same run but for that."""

    def of_blocks(blocks) -> Tensor:
        reference = {"method": method, "steps": {"stop": 1}, "blocks": blocks}
        asked = spec(LONG | OFF | {"edits": []}, compat="reference", reference=reference, steps=2, **NO_MAPS)
        return edit(asked, family).latents

    taken, free = of_blocks(None), of_blocks([99])
    torch.testing.assert_close(taken[0], free[0], rtol=0, atol=1e-5)
    assert taken.isfinite().all()
    assert not torch.equal(taken[1], free[1])


@pytest.mark.parametrize("matched", [False, True])
def test_an_edited_row_with_a_mask_is_what_explicit_probabilities_give(matched):
    """Text of four positions, of which the source has two and the target three; six are a prompt's limit."""
    draw = torch.Generator().manual_seed(0)
    pixels, text, limit = 5, 4, 6
    q, k, v = (torch.randn(2, 2, pixels + text, 8, generator=draw) for _ in range(3))
    mask = torch.ones(2, pixels + text, dtype=torch.bool)
    mask[0, pixels + 2 :] = False
    mask[1, pixels + 3 :] = False
    mapper, own = torch.rand(limit, limit, generator=draw), torch.rand(limit, generator=draw)
    layout = joint_layout(2, {1: EditedRow(0, mapper, own)}, {}, [1] if matched else [], "cpu")

    image, words = slice(0, pixels), slice(pixels, pixels + text)
    found = layout.attend(q, k, v, image, words, mask=mask)

    logits = (q @ k.transpose(-1, -2) * 8**-0.5).masked_fill(~mask[:, None, None], -torch.inf)
    source, target = logits.softmax(-1)
    taken = source[:, image, words] @ mapper[:text, :text]
    if matched:
        taken = taken * target[:, image, words].sum(-1, True) / source[:, image, words].sum(-1, True)
    edited = target.clone()
    edited[:, image, words] = (taken + target[:, image, words] * own[:text]) * mask[1, words]
    # Float32's rounding of sums of nine.
    torch.testing.assert_close(found, torch.stack([source @ v[0], edited @ v[1]]), rtol=0, atol=1e-5)


def test_what_is_left_out_of_the_template_has_no_position(family):
    (segment,), (prompt,) = family.tokenizer.segments, tokenize("a cat on a beach", family.tokenizer).segments
    whole = family.pipeline.tokenizer(f"{segment.prefix}a cat on a beach{segment.suffix}").input_ids

    assert list(prompt.ids) == whole[segment.dropped :]
    assert len(prompt) == family.encode_prompts(["a cat on a beach"]).beside["length"]
    named = prompt.named("cat")
    assert all(prompt.head <= position < len(prompt.ids) - prompt.tail for position in named)
    assert family.pipeline.tokenizer.decode([prompt.ids[position] for position in named]).strip() == "cat"


def test_pixels_come_back_from_the_latents_of_the_pipeline(family):
    """The autoencoder is a bad one, so latents are compared with what it says by itself."""
    pixels, vae = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(2)), family.pipeline.vae
    if family.name == "z_image":
        plain = (vae.encode(pixels * 2 - 1).latent_dist.mean - 0.1159) * 0.3611
    else:
        mean, deviation = (
            torch.tensor(each).view(1, -1, 1, 1) for each in (vae.config.latents_mean, vae.config.latents_std)
        )
        plain = (vae.encode((pixels * 2 - 1).unsqueeze(2)).latent_dist.mean.squeeze(2) - mean) / deviation

    torch.testing.assert_close(family.encode(pixels), plain)
    assert family.decode(plain).shape == pixels.shape


def test_another_template_is_refused():
    pipeline = tiny_flows.z_image()
    pipeline.tokenizer.chat_template = pipeline.tokenizer.chat_template.replace("assistant", "helper")
    with pytest.raises(UnsupportedModel, match="another chat template"):
        families.of(pipeline)
    pipeline = tiny_flows.qwen_image()
    pipeline.prompt_template_encode_start_idx = 33
    with pytest.raises(UnsupportedModel, match="leaves out 33 tokens"):
        families.of(pipeline)


def test_one_step_of_a_schedule_whose_last_one_is_set_apart_is_refused():
    with pytest.raises(UnsupportedSampling, match="cannot make 1 step of this model"):
        edit(spec(SWAP, steps=1), families.of(tiny_flows.qwen_image()))


def test_a_picture_for_which_z_image_has_no_places_is_refused():
    with pytest.raises(UnsupportedSize, match="places for 256 a side"):
        families.of(tiny_flows.z_image()).latent_shape(260, 32)
