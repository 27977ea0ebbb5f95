"""`benchmarks.quality` on the built-in model that draws tokens: the same edits, judge and truth."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from benchmarks.plain_tokens import PlainTokens
from benchmarks.quality import sources as asked
from benchmarks.quality.examined import EXAMINED
from benchmarks.quality.given import GIVEN
from benchmarks.quality.methods import BY_NAME, METHODS, run
from benchmarks.quality.opened import opened
from benchmarks.quality.painting import noise_of, paint
from benchmarks.quality.report import rows, summary
from jobs.errors import InvalidCatalogue
from p2p.edit import edit, edit_again_steps
from p2p.spec import EditSpec
from p2p.stepping import result_of

pytestmark = pytest.mark.usefixtures("font")
STEPS = 6
KINDS = ("thing", "place", "tint", "style")


@pytest.fixture(scope="module")
def model():
    return opened("scenes-tokens")


@pytest.fixture(scope="module")
def family(model):
    return model.family


@pytest.fixture(scope="module")
def drawn(model, judge):
    of = asked.Family(asked.one_thing, KINDS)
    scale = model.defaults.guidance_scale
    return asked.drawn([(2, of)], model.family, judge, steps=STEPS, guidance_scale=scale)


def spec_of(prompt: str, target: str, scale: float, seed: int, **changes: object) -> EditSpec:
    return EditSpec.model_validate(
        {
            "source": {"prompt": prompt},
            "targets": [{"prompt": target, "edits": [{"kind": "refine"}] if target != prompt else []}],
            "sampling": {"steps": STEPS, "guidance_scale": scale, "seed": seed} | changes,
            "artifacts": {"heatmaps": False, "raw_maps": False},
        }
    )


def test_a_model_is_opened_by_its_id_or_its_folder_with_its_defaults():
    by_id, by_folder = opened("scenes-tokens"), opened("scenes/tokens/model")

    assert by_id.defaults == by_folder.defaults
    assert (by_id.family.state, opened("scenes").family.state) == ("tokens", "latents")
    with pytest.raises(
        InvalidCatalogue, match="declares no model nothing: name one of scenes, scenes-tokens, scenes-flow"
    ):
        opened("nothing")


def test_rows_are_painted_each_from_its_own_seed_as_a_run_paints_them(family):
    prompts, seeds = ["a cat on a beach", "a dog on grass"], [4, 5]

    painted = paint(
        family, prompts, torch.cat([noise_of(seed, family) for seed in seeds]), seeds, steps=STEPS, guidance_scale=3.0
    )

    for prompt, seed, grid in zip(prompts, seeds, painted, strict=True):
        of_run = edit(spec_of(prompt, prompt, 3.0, seed), family).latents[0]
        # Batches of other sizes are summed in another order, and a draw that is nearly even may fall otherwise.
        assert (grid == of_run).float().mean() > 0.95


def test_as_many_tokens_are_masked_as_a_run_has_left_and_fewer_of_the_same_at_each_step(family):
    tokens = torch.arange(256).view(1, 1, 16, 16)
    sampler = family.sampler(STEPS, None, (1, 16, 16))
    masked = [GIVEN["tokens"](sampler, tokens, index, 7) == sampler.masked_token for index in range(STEPS + 1)]

    assert [int(each.sum()) for each in masked] == [256, 247, 221, 181, 128, 66, 0]
    assert all(bool((after <= before).all()) for before, after in pairwise(masked))


def test_the_plain_loop_draws_what_the_pipeline_draws(family):
    """One step, of which the pipeline draws the first prompt's tokens first: later it draws other prompts' between."""
    asked_for = spec_of("a cat on a beach", "a dog on a beach", 3.0, seed=0, steps=1)

    plain = PlainTokens(family, asked_for).step(0)

    assert torch.equal(plain[0], edit(asked_for, family).latents[0, 0])


def test_every_method_gives_a_picture_for_every_change(drawn, family):
    sources = [replace(source, changes=source.changes[:1]) for source in drawn]

    for method in [*METHODS.values(), *BY_NAME.values()]:
        with torch.no_grad():
            images = method(sources, family, STEPS)
        assert [image.shape for image in images] == [(64, 64, 3)] * 2


def test_a_photo_without_an_edit_comes_back_as_its_own_tokens(drawn, family):
    for source in drawn:
        prompt = source.scene.caption()
        asked_for = spec_of(prompt, prompt, source.guidance_scale, source.seed)
        result = result_of(edit_again_steps(asked_for, family, source.trajectory))

        assert torch.equal(result.latents, source.latents.expand(2, -1, -1, -1))


def test_edits_of_a_photo_come_nearer_to_the_truth_than_the_photo_and_than_the_prompt_from_other_noise(
    drawn, family, judge
):
    with torch.no_grad():
        nearness = {
            name: summary(rows(drawn, METHODS[name](drawn, family, STEPS), judge))["counterfactual_psnr"]
            for name in ("unchanged", "prompt_other_seed", "ours")
        }

    assert nearness["ours"] > nearness["unchanged"]
    assert nearness["ours"] > nearness["prompt_other_seed"]


def test_the_judge_is_examined_on_pictures_that_were_tokens(family, judge):
    figures = EXAMINED["tokens"](family, judge, 20)

    assert set(figures) == {"thing", "place", "tint", "style", "iou"}
    assert figures["thing"] > 0.8


def test_the_source_of_a_drawn_picture_is_the_picture_as_its_tokens_are(drawn, family):
    source = drawn[0]
    (image, *_) = METHODS["unchanged"]([source], family, STEPS)
    result = run(spec_of(source.scene.caption(), "a dog", source.guidance_scale, source.seed), source, family)

    # Batches of other sizes: a level of rounding.
    assert np.abs(np.asarray(result.images[0]).astype(int) - image).max() <= 1
