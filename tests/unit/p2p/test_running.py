"""Runs on a tiny real model: what shares a batch, is left on the way, raises, or is refused."""

import pytest
import torch
from diffusers import (
    DDPMScheduler,
    EDMEulerScheduler,
    EulerAncestralDiscreteScheduler,
    LCMScheduler,
)

from p2p.edit import edit, edit_batch_steps, edit_steps
from p2p.errors import MixedBatch, PromptTooLong, SeveralSeeds, UnsupportedModel
from p2p.preparation import prepare, sampler_of
from p2p.stepping import made_of, result_of
from p2p.tokens import tokenize
from tests import families, tiny
from tests.short_specs import BLEND, NO_MAPS, OFF, REFINE, SWAP, spec
from tests.stepping import run_through


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
