"""Words that are faded by guidance: a row beside the picture says what the prompt is without the word."""

import pytest
import torch

from p2p.change.beside import rows_beside
from p2p.change.choosing import explicit
from p2p.cohort.cohort import Cohort
from p2p.cohort.key import rows_of
from p2p.edit import edit, edit_again_steps
from p2p.spec import EditSpec
from p2p.stepping import result_of
from tests.cohorts import to_the_end

STEPS = 3
#: Rows beside others may be rounded otherwise (docs/attention.md).
ROUNDING = 1e-4


def spec(weight: float, word: str = "red", prompt: str = "a red cat on a beach", **more) -> EditSpec:
    return EditSpec.model_validate(
        {
            "source": {"prompt": "a red cat on a beach"},
            "targets": [{"prompt": prompt, "weights": [{"word": word, "weight": weight}], **more}],
            "sampling": {"steps": STEPS, "seed": 1, "guidance_scale": 5},
        }
    )


def without_the_word(weight: float) -> EditSpec:
    """What a faded word's row beside is, as an edit by itself."""
    asked = explicit(spec(weight))
    (row,) = rows_beside(asked)
    drawn = row.drawn.model_copy(update={"local_blend": None})
    return asked.model_copy(update={"targets": (drawn,)})


def free(weight: float) -> EditSpec:
    """A faded word without the paste: what the model draws."""
    asked = explicit(spec(weight))
    return asked.model_copy(update={"targets": (asked.targets[0].model_copy(update={"local_blend": None}),)})


@pytest.mark.needs("latents")
def test_at_nothing_a_word_is_not_said_at_all(family):
    faded, unsaid = edit(free(0.0), family), edit(without_the_word(0.0), family)

    assert (faded.latents - unsaid.latents).abs().max() <= ROUNDING


@pytest.mark.needs("latents")
def test_between_nothing_and_one_a_prediction_lies_between(family):
    one, half, none = (edit(free(weight), family).latents[1] for weight in (0.999, 0.5, 0.0))

    assert (one - none).abs().max() > 10 * ROUNDING
    assert (half - none).norm() < (one - none).norm()
    assert (half - one).norm() < (one - none).norm()


def test_a_faded_word_changes_the_picture_and_not_its_source(family):
    faded, alone = edit(spec(0.0), family), edit(spec(1.0), family)

    assert len(faded.images) == len(faded.prompts) == 2
    assert (faded.latents[0].float() - alone.latents[0].float()).abs().max() <= ROUNDING
    assert (faded.latents[1] != alone.latents[1]).any()


def test_an_edit_of_a_kept_source_fades_words_alike(family):
    whole = edit(spec(0.2), family, keep=True)

    again = result_of(edit_again_steps(spec(0.2), family, whole.trajectory))

    assert (again.latents[1].float() - whole.latents[1].float()).abs().max() <= ROUNDING


def test_the_rows_of_faded_words_are_known_before_a_run(family):
    asked = spec(0.0)
    cohort = Cohort(family)
    member = cohort.join(asked)

    turn = cohort.turn()

    assert turn.rows[member] == member.rows == rows_of(asked, family) == rows_of(spec(1.0), family) + 1


def test_several_jobs_share_a_step_with_faded_words(family):
    alone = [edit(spec(weight), family) for weight in (0.0, 2.0)]
    cohort = Cohort(family)
    members = [cohort.join(spec(weight)) for weight in (0.0, 2.0)]

    results = to_the_end(cohort).results

    for member, result in zip(members, alone, strict=True):
        assert (results[member].latents.float() - result.latents.float()).abs().max() <= ROUNDING


@pytest.mark.parametrize(
    ("weight", "ways"),
    [
        (0.5, [("guidance", 0.5)]),
        (1.5, [("guidance", 1.25)]),
        (2.0, [("guidance", 1.5)]),
        (5.0, [("guidance", 1.5), ("attention", 2.5)]),
    ],
)
def test_guidance_turns_a_word_up_half_as_far_and_attention_does_the_rest(weight, ways):
    (target,) = explicit(spec(weight)).targets

    assert [(edit.by, *(name.weight for name in edit.weights)) for edit in target.edits] == ways
    assert len(rows_beside(explicit(spec(weight)))) == 1


def test_maps_are_of_the_pictures_alone(family):
    result = edit(spec(0.0), family)

    assert len(result.maps) == 2
    assert torch.isfinite(torch.tensor(result.maps[1][0].map)).all()
