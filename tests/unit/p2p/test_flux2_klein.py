"""What FLUX.2 klein has of its own: models that are not distilled, a template, and latents of a position each."""

import pytest
import torch

from p2p.alignment import refinement_mapper
from p2p.edit import edit
from p2p.errors import UnsupportedModel
from p2p.families.flux2_klein import Flux2Klein
from p2p.tokens import tokenize
from tests import tiny_flows
from tests.plain_flows import plainly, shown
from tests.short_specs import NO_MAPS, OFF, REFINE, SWAP, spec


@pytest.fixture(scope="module")
def pipeline():
    return tiny_flows.klein()


@pytest.fixture(scope="module")
def family(pipeline):
    return Flux2Klein(pipeline)


def test_an_empty_plan_of_a_model_that_is_not_distilled_is_the_plain_pipeline():
    family = Flux2Klein(tiny_flows.klein(distilled=False))
    ours = edit(spec(SWAP | OFF, guidance_scale=4.0, **NO_MAPS), family).latents
    plain = plainly(family, ["a cat on a beach", SWAP["prompt"]], guidance_scale=4.0)

    # The pipeline calls the network once for each side of the guidance, we once for both.
    assert (shown(family, ours) - plain).norm() <= 2e-6 * plain.norm()


def test_what_the_template_says_corresponds_and_is_no_word(family):
    before, after = (tokenize(prompt, family.tokenizer) for prompt in ("a cat on a beach", REFINE["prompt"]))
    (source,), (target,) = before.segments, after.segments

    assert source.head == target.head > 0
    assert source.tail == target.tail > 0
    assert [prompt.ids[: prompt.head] for prompt in (source, target)] == [source.ids[: source.head]] * 2
    ends = [range(len(prompt.ids) - prompt.tail, prompt.limit) for prompt in (source, target)]
    assert [source.tails(), target.tails()] == [[end] for end in ends]
    named = target.named("red")
    assert named
    assert all(target.head <= position < len(target.ids) - target.tail for position in named)


def test_the_mapper_of_a_refinement_has_one_source_for_each_shared_token_and_the_padding(family):
    before, after = (tokenize(prompt, family.tokenizer) for prompt in ("a cat on a beach", REFINE["prompt"]))
    mapper, new = refinement_mapper(before, after), after.named("red")

    assert mapper.sum(0).max() == 1
    assert not mapper[:, list(new)].any()
    (source,), (target,) = before.segments, after.segments
    for offset in range(1, target.tail + 1):
        assert mapper[len(source.ids) - offset, len(target.ids) - offset] == 1


def test_pixels_come_back_as_the_latents_that_the_network_sees(family):
    pixels = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(2))
    vae = family.pipeline.vae
    plain = family.pipeline._encode_vae_image(pixels * 2 - 1, None)

    assert torch.allclose(family.encode(pixels), plain, atol=1e-6)
    assert family.decode(family.encode(pixels)).shape == pixels.shape
    assert vae.bn.running_mean.abs().max() > 0  # so that the comparison says something


def test_another_template_is_refused(pipeline):
    own = pipeline.tokenizer.chat_template
    pipeline.tokenizer.chat_template = own.replace("assistant", "helper")
    try:
        with pytest.raises(UnsupportedModel, match="another chat template"):
            Flux2Klein(pipeline)
    finally:
        pipeline.tokenizer.chat_template = own
