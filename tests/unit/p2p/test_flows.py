"""Families of flows, whose pixels and text share one softmax, against diffusers' own pipelines of them."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from p2p.cohort.cohort import Cohort
from p2p.edit import edit, edit_again_steps
from p2p.errors import UnsupportedInversion, UnsupportedModel, UnsupportedSampling
from p2p.inversion import OF_FLOWS, invert
from p2p.inversion.source_run import SourceRun
from p2p.stepping import result_of
from p2p.tokens import tokenize
from tests import families, tiny_flows
from tests.plain_flows import plainly, shown
from tests.short_specs import BLEND, NO_MAPS, OFF, REFINE, SWAP, spec

pytestmark = pytest.mark.needs("flows")


@pytest.mark.parametrize(("size", "guidance_scale"), [((32, 32), 0.0), ((16, 40), 5.0)])
def test_an_empty_plan_is_the_plain_pipeline(family, size, guidance_scale):
    """The second size has another shift, of the models whose schedule depends on it."""
    sampling = {"height": size[0], "width": size[1]}
    asked = spec(SWAP | OFF, REFINE | OFF, sampling=sampling, guidance_scale=guidance_scale, **NO_MAPS)
    ours = shown(family, edit(asked, family).latents)
    plain = plainly(family, ["a cat on a beach", SWAP["prompt"], REFINE["prompt"]], size, guidance_scale)

    # Bit for bit. Not so with guidance: the negative prompt is encoded once here and once for each prompt there, and
    # some pipelines call the network once for each side.
    assert (ours - plain).norm() <= (2e-6 if family.guides(guidance_scale) else 0) * plain.norm()


def test_a_model_that_takes_no_guidance_is_the_plain_pipeline_at_any_scale():
    family = families.of(tiny_flows.flux(guidance=False))
    ours = edit(spec(SWAP | OFF, guidance_scale=5.0, **NO_MAPS), family).latents

    assert torch.equal(ours, plainly(family, ["a cat on a beach", SWAP["prompt"]]))


def test_a_negative_prompt_is_that_of_the_plain_pipeline_or_is_refused(family):
    asked = spec(SWAP | OFF, sampling={"negative_prompt": "a red car"}, **NO_MAPS)
    if not family.guides(5.0):
        with pytest.raises(UnsupportedSampling, match="takes guidance as an input"):
            edit(asked, family)
        return
    plain = plainly(family, ["a cat on a beach", SWAP["prompt"]], negative_prompt="a red car")

    # As above.
    assert (edit(asked, family).latents - plain).norm() <= 2e-6 * plain.norm()


def test_the_source_is_the_same_and_control_changes_the_edit(family):
    free, held = (edit(spec(target, **NO_MAPS), family).latents for target in (SWAP | OFF, SWAP))

    # Other calls of the same rows: 1e-5 of the latents' unit deviation.
    torch.testing.assert_close(free[0], held[0], rtol=0, atol=1e-5)
    assert (free[1] - held[1]).norm() > 1e-3 * free[1].norm()


def test_prompts_of_the_same_words_give_the_source_again(family):
    """A full swap is the source's attention to the last digit; what is left is what words outside of it do."""
    whole = {"cross_window": {"stop": 1}, "self_window": {"stop": 1}}
    same = {"prompt": "a cat on a beach", "edits": [{"kind": "reweight", "weights": [{"word": "cat", "weight": 1}]}]}
    latents = edit(spec(same | whole, **NO_MAPS), family).latents

    torch.testing.assert_close(latents[1], latents[0], rtol=0, atol=1e-5)


def test_an_edit_of_matched_mass_does_not_depend_on_its_neighbours(family):
    first, second = spec(REFINE | {"mass": "mass_matched"}, **NO_MAPS), spec(BLEND, seed=2, guidance_scale=3.0, steps=3)
    alone = edit(first, family).latents
    with Cohort(family) as cohort:
        member = cohort.join(first)
        cohort.join(second)
        results = {}
        while cohort.members:
            results |= cohort.turn().results

    # Larger batches choose other kernels: 1e-5 of the latents' unit deviation.
    torch.testing.assert_close(results[member].latents, alone, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def picture(family) -> torch.Tensor:
    """What the autoencoder makes of a photo, as far as the model sees."""
    return torch.randn((1, *family.latent_shape(32, 32)), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("method", OF_FLOWS)
def test_a_photo_comes_back_and_is_edited(family, picture, method):
    asked = spec(SWAP)
    found = invert(picture, "a cat on a beach", family, method=method, sampling=asked.sampling).trajectory
    edited = result_of(edit_again_steps(asked, family, found))

    # Edit-friendly noises make the source again, which rounds; its last step is the picture itself.
    torch.testing.assert_close(edited.latents[:1], picture, rtol=0, atol=0)
    assert (edited.latents[1] - picture[0]).norm() > 1e-2 * picture.norm()


FREE = SWAP | OFF


def straight(family, picture, prompt: str, asked, **settings) -> torch.Tensor:
    """The edit of a picture whose prompt is said, on the straight line."""
    asked = asked.model_copy(update={"source": asked.source.model_copy(update={"prompt": prompt})})
    given = {"method": "straight", "sampling": asked.sampling, "settings": settings}
    return result_of(edit_again_steps(asked, family, invert(picture, prompt, family, **given).trajectory)).latents[1]


def test_on_the_straight_line_a_prompt_that_stays_gives_the_picture_with_its_offset(family, picture):
    asked = spec(FREE, **NO_MAPS)

    # Another batch of the same rows: 1e-5 of the latents' unit deviation.
    torch.testing.assert_close(straight(family, picture, SWAP["prompt"], asked), picture[0], rtol=0, atol=1e-5)
    assert (straight(family, picture, SWAP["prompt"], asked, offset=False) - picture[0]).norm() > 0.1 * picture.norm()


def test_the_straight_line_is_flow_edit_with_one_noise(family, picture):
    """As its paper writes it: the picture is taken along by the difference of two velocities."""
    asked = spec(FREE, guidance_scale=0.0, **NO_MAPS)
    sampler = family.sampler(4, None, picture.shape[1:])
    source, target = (
        SourceRun(family, sampler, prompt, guidance_scale=0.0) for prompt in ("a cat on a beach", SWAP["prompt"])
    )
    noise, sigmas = noise_of(asked, picture), sampler.sigmas
    edited = picture.clone()
    for index in range(4):
        at = (1 - sigmas[index]) * picture + sigmas[index] * noise
        difference = target.plain(edited + at - picture, index) - source.plain(at, index)
        edited = edited + (sigmas[index + 1] - sigmas[index]) * difference

    # The same sums in another order: 1e-5 of the latents' unit deviation.
    torch.testing.assert_close(straight(family, picture, "a cat on a beach", asked), edited[0], rtol=0, atol=1e-5)


def noise_of(asked, picture) -> torch.Tensor:
    """The noise that an inversion draws from the seed of a spec."""
    return torch.randn(picture.shape, generator=torch.Generator().manual_seed(asked.sampling.seed))


def test_edit_friendly_noises_lead_to_each_level_of_the_picture(family, picture):
    """By steps that draw noise: what a step points at is noised anew. The last step ends without noise."""
    asked = spec(FREE)
    found = invert(picture, "a cat on a beach", family, method="edit_friendly", sampling=asked.sampling).trajectory
    sampler = family.sampler(4, None, picture.shape[1:])
    source = SourceRun(family, sampler, "a cat on a beach", guidance_scale=5.0)
    state, after = found.noise, []
    for index in range(3):
        output = source.read(state, index, guided=source.is_guided)
        state = sampler.step(output, index, state, (), noise=found.step_noise[index : index + 1])
        after.append(state)

    # The noises undo what the model said to rounding: 1e-5 of the latents' unit deviation.
    torch.testing.assert_close(torch.cat(after), found.latents[:3], rtol=0, atol=1e-5)
    assert torch.equal(found.latents[3:], picture)
    assert not found.step_noise[3].any()


@pytest.mark.parametrize("method", ["ddim", "null_text", "negative_prompt"])
def test_other_inversions_are_refused_by_name(family, method):
    with pytest.raises(UnsupportedInversion, match=f"follows a flow: {method} "):
        invert(torch.zeros(1, *family.latent_shape(32, 32)), "a cat on a beach", family, method=method)


def test_mass_matched_keeps_the_targets_share_of_the_text(family):
    linear, matched = (
        edit(spec(SWAP | {"self_window": {"stop": 0}, "mass": mass}, **NO_MAPS), family).latents[1]
        for mass in ("linear", "mass_matched")
    )

    assert (linear - matched).norm() > 1e-4 * linear.norm()


@pytest.mark.parametrize("target", [SWAP, REFINE | {"mass": "mass_matched"}, BLEND])
def test_no_call_falls_back_to_the_kernel_that_builds_the_matrix(family, target):
    """PyTorch takes that kernel without a word where values are not as wide as keys; forced, the flash one raises."""
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        edit(spec(target, steps=2), family)


def test_maps_never_hold_a_matrix_of_positions_by_positions(family):
    """Counted at 1,024 positions: 4 MB for each head of each row."""
    largest = 0

    class Counting(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            made = function(*args, **(kwargs or {}))
            for each in made if isinstance(made, tuple | list) else (made,):
                if isinstance(each, torch.Tensor) and each.ndim >= 2:
                    largest = max(largest, min(each.shape[-2:]) if each.shape[-1] > 512 else 0)
            return made

    family = with_places(family, 64)
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION), Counting():
        sampling = {"height": 128, "width": 128, "steps": 2}
        edit(spec(BLEND, sampling=sampling), family)

    assert largest < 512


def with_places(family, most: int):
    """The family with as many places a side as a picture needs: SD3 has a table of them."""
    if "pos_embed_max_size" not in family.network.config:
        return family
    torch.manual_seed(0)
    network = type(family.network)(**{**family.network.config, "pos_embed_max_size": most}).eval()
    return families.of(type(family.pipeline)(**{**family.pipeline.components, "transformer": network}))


def test_a_word_has_tokens_in_every_segment_and_corresponds_in_its_own(family):
    prompt = tokenize("a cat on a bench", family.tokenizer)
    positions = prompt.named("bench")

    places = [0, 24][: len(prompt.segments)]
    each = [
        tuple(place + position for position in segment.named("bench"))
        for place, segment in zip(places, prompt.segments, strict=True)
    ]
    assert positions == tuple(position for segment in each for position in segment)
    assert all(each)
    assert prompt.limit == sum(segment.limit for segment in prompt.segments)


def test_beyond_what_clip_reads_words_have_tokens_of_t5_alone():
    family = families.of(tiny_flows.sd3())
    prompt = tokenize("a cat on a beach at night " + "the red car " * 5 + "dog", family.tokenizer)

    assert all(position >= 24 for position in prompt.named("dog"))
    assert any(position < 24 for position in prompt.named("beach"))


@pytest.mark.parametrize(("field", "value"), [("scheduler", "euler"), ("order", "own")])
def test_what_is_for_other_models_is_refused(family, field, value):
    with pytest.raises(UnsupportedSampling, match="leave"):
        edit(spec(SWAP, sampling={field: value}), family)


def test_a_layer_with_another_processor_is_refused(pipeline):
    family = families.of(pipeline)
    name, layer = next(iter(family.attention_layers.items()))
    before = layer.processor
    layer.set_processor(type("Custom", (), {"__call__": before.__call__})())
    try:
        with pytest.raises(UnsupportedModel, match=f"{name} has the processor Custom"):
            type(family)(pipeline)
    finally:
        layer.set_processor(before)


def test_the_published_method_is_refused_where_words_have_an_attention_of_their_own():
    from tests import tiny

    asked = spec(SWAP | OFF | {"edits": []}, compat="reference", reference={})
    with pytest.raises(UnsupportedSampling, match="share one attention"):
        edit(asked, families.of(tiny.pipeline()))


def test_a_published_method_takes_the_sources_attention_in_the_blocks_that_are_named(family):
    def of_blocks(blocks):
        reference = {"steps": {"stop": 1}, "blocks": blocks}
        asked = spec(SWAP | OFF | {"edits": []}, compat="reference", reference=reference, **NO_MAPS)
        return edit(asked, family).latents[1]

    everywhere, first, free = of_blocks(None), of_blocks([0]), of_blocks([99])
    assert torch.equal(free, edit(spec(SWAP | OFF, **NO_MAPS), family).latents[1])
    assert (first - free).norm() > 0
    assert not torch.equal(first, everywhere)


def test_the_family_is_a_dataclass_of_nothing_shared(family):
    """A tokenizer of other limits leaves the first one as it was."""
    whole = family.tokenizer
    fewer = whole.limited([segment.limit - 1 for segment in whole.segments])

    assert [segment.limit + 1 for segment in fewer.segments] == [segment.limit for segment in whole.segments]
    assert fewer.segments == tuple(replace(each, limit=each.limit - 1) for each in whole.segments)


def test_maps_are_read_in_the_named_blocks_alone_and_afterwards_as_before():
    family = families.of(tiny_flows.sd3())
    before = family.attention_sites()

    with family.read_in({1}):
        assert {site.block for site in family.attention_sites() if site.is_read} == {1}

    assert family.attention_sites() == before
    assert {site.block for site in before if site.is_read} != {1}
