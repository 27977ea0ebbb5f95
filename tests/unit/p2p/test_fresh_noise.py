"""Edits that start from noise of their own where a thing was."""

import pytest
import torch

from p2p.cohort.cohort import Cohort
from p2p.cohort.key import rows_of
from p2p.edit import edit, edit_again_steps, edit_steps
from p2p.fresh_noise import starts
from p2p.inversion import invert
from p2p.preparation import prepare, sampler_of
from p2p.sampling import noise_streams
from p2p.spec import EditSpec, Sampling
from p2p.stepping import result_of
from tests.cohorts import packed, to_the_end

STEPS = 3
#: Maps of tiny models are nearly flat: by this threshold a part of the picture is kept.
HIGH = 0.999
GONE = {
    "prompt": "a cat on a beach",
    "edits": [{"kind": "refine", "filled_by": [{"word": "beach"}]}],
    "local_blend": {"source_words": [{"word": "dog"}], "threshold": HIGH, "fresh_noise": True},
}
KEPT = {**GONE, "local_blend": {**GONE["local_blend"], "fresh_noise": False}}


def spec(*targets: dict, seed: int = 1, **more) -> EditSpec:
    return EditSpec.model_validate(
        {
            "source": {"prompt": "a cat and a dog on a beach"},
            "targets": list(targets),
            "sampling": {"steps": STEPS, "seed": seed, "guidance_scale": 5},
            **more,
        }
    )


def prepared(made: EditSpec, family):
    return prepare(made, family, sampler_of(made, family))


def flat(family, job, spot: tuple[int, int]) -> torch.Tensor:
    """Maps of a source whose dog is in one cell, (steps, tokens, height, width)."""
    side = job.noise.shape[-1] // 2
    maps = torch.zeros(STEPS, len(job.prompts[0].ids), side, side)
    (dog,) = job.prompts[0].named("dog")
    maps[:, dog, spot[0], spot[1]] = 1
    return maps


@pytest.mark.needs("latents")
def test_noise_is_fresh_where_the_sources_word_is_and_nowhere_else(family):
    job = prepared(spec(GONE, KEPT), family)

    fresh, kept = starts(job, flat(family, job, (2, 5)))

    differs = (fresh != job.noise[0]).any(0)
    # The cell and one on each side, of two latents each.
    assert differs.nonzero().amin(0).tolist() == [2, 8]
    assert differs.nonzero().amax(0).tolist() == [7, 13]
    assert differs.sum() == 36
    assert torch.equal(kept, job.noise[0])


@pytest.mark.needs("latents")
def test_fresh_noise_follows_from_the_seed(family):
    noises = [prepared(spec(GONE, seed=seed), family).fresh.noise for seed in (1, 1, 2)]

    assert torch.equal(noises[0], noises[1])
    assert not torch.equal(noises[1], noises[2])


@pytest.mark.needs("latents")
def test_an_edit_that_starts_afresh_is_another_picture_of_the_same_source(family):
    fresh, kept = edit(spec(GONE), family), edit(spec(KEPT), family)

    # A row beside another one may be rounded otherwise (docs/attention.md).
    assert (fresh.latents[0] - kept.latents[0]).abs().max() <= 1e-4
    assert (fresh.latents[1] - kept.latents[1]).abs().max() > 0.1


@pytest.mark.needs("latents")
def test_its_source_runs_first_and_is_the_same_as_a_kept_one(family):
    source = edit(spec(KEPT), family, keep=True).trajectory

    again = result_of(edit_again_steps(spec(GONE), family, source))
    once = edit(spec(GONE), family)

    assert (again.latents - once.latents).abs().max() <= 1e-4  # two runs of the source, rounded otherwise


@pytest.mark.needs("latents")
def test_until_the_source_has_run_every_picture_is_the_source(family):
    steps = list(edit_steps(spec(GONE, KEPT), family))

    assert {step.num_steps for step in steps} == {2 * STEPS}
    assert [step.index for step in steps] == sorted(step.index for step in steps)
    assert all(len(step.latents) == 3 for step in steps)
    assert all(torch.equal(row, step.latents[0]) for step in steps[:STEPS] for row in step.latents)
    assert not torch.equal(steps[-1].latents[0], steps[-1].latents[1])


@pytest.mark.needs("latents")
def test_its_sources_run_is_given_to_the_caller_who_asks_for_it(family):
    assert edit(spec(GONE), family).trajectory is None
    assert len(edit(spec(GONE), family, keep=True).trajectory.latents) == STEPS


@pytest.mark.needs("latents")
def test_a_photo_needs_no_second_pass(family):
    sampling = Sampling(steps=STEPS, guidance_scale=5.0, seed=1)
    picture = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    source = invert(picture, "a cat and a dog on a beach", family, sampling=sampling).trajectory

    steps = list(edit_again_steps(spec(GONE), family, source))

    assert {step.num_steps for step in steps} == {STEPS}


@pytest.mark.needs("latents")
def test_jobs_of_two_passes_are_among_others_what_they_are_alone(build):
    family = packed(build)
    specs = [spec(GONE, seed=3), spec(KEPT, seed=4), spec(GONE, KEPT, seed=5)]
    cohort, members = Cohort(family), []

    ended = to_the_end(cohort, [lambda made=made: members.append(cohort.join(made)) for made in specs])

    for member, made in zip(members, specs, strict=True):
        assert member.rows <= rows_of(made, family)
        assert torch.equal(ended.results[member].latents, edit(made, family).latents)


def test_a_source_whose_start_is_no_noise_runs_once(family):
    """Tokens start from a picture that is masked everywhere: nothing in it can be fresh."""
    sampler = sampler_of(spec(GONE), family)
    one, other = (sampler.start(family.latent_shape(None, None), noise_streams(seed, 1)) for seed in (1, 2))

    steps = {step.num_steps for step in edit_steps(spec(GONE), family)}

    assert steps == {STEPS if torch.equal(one, other) else 2 * STEPS}
