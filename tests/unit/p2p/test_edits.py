"""From a spec to the tensors of a plan."""

import pytest
import torch

from p2p.edits import compile_plan, step_at
from p2p.spec import EditSpec
from p2p.tokens import tokenize_all
from tests import tiny


def plan_of(target: dict, source="a cat on a beach", steps=10, compat=None):
    spec = EditSpec.model_validate({"source": {"prompt": source}, "targets": [target], "compat": compat})
    return compile_plan(spec, tokenize_all(spec.prompts, tiny.tokenizer()), steps)


def swap(**extra) -> dict:
    return {"prompt": "a dog on a beach", "edits": [{"kind": "replace"}], **extra}


@pytest.mark.parametrize(
    ("share", "steps", "default", "compat"),
    [
        (0.8, 50, 40, 40),
        (0.58, 50, 29, 28),
        (0.29, 50, 15, 14),
        (0.8, 6, 5, 4),
        (0.4, 4, 2, 1),
        (0.5, 5, 3, 2),
        (1.0, 50, 50, 50),
        (0, 7, 0, 0),
    ],
)
def test_a_share_of_the_run_names_the_nearest_step(share, steps, default, compat):
    """Halves go up. The published code truncates, and loses a step to floating point at .58 of 50."""
    assert step_at(share, steps, compat=False) == default
    assert step_at(share, steps, compat=True) == compat


def test_a_window_can_count_steps_instead():
    window = {"start": 1, "stop": 3, "unit": "steps"}

    assert plan_of(swap(self_window=window), steps=4).self_schedule[:, 0].tolist() == [False, True, True, False]


def test_the_cross_window_counts_a_row_more_in_compat():
    window = {"cross_window": {"stop": 0.95}}

    assert plan_of(swap(**window)).cross.schedule[:, 0, 0].sum() == 10
    assert plan_of(swap(**window), compat="reference").cross.schedule[:, 0, 0].sum() == 10  # int(.95 * 11)
    assert plan_of(swap(cross_window={"stop": 0.93})).cross.schedule[:, 0, 0].sum() == 9
    assert plan_of(swap(cross_window={"stop": 0.93}), compat="reference").cross.schedule[:, 0, 0].sum() == 10


def test_a_word_window_replaces_the_cross_window_for_its_tokens():
    target = swap(cross_window={"stop": 1}, word_windows=[{"word": "dog", "window": {"start": 0.2, "stop": 0.5}}])
    schedule = plan_of(target).cross.schedule[:, 0]

    assert schedule[:, 2].tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0]
    assert schedule[:, 1].tolist() == [1] * 10


def test_each_target_has_windows_of_its_own():
    targets = [swap(self_window={"stop": 0.2}), swap(self_window={"start": 0.5, "stop": 0.7})]
    spec = EditSpec.model_validate({"source": {"prompt": "a cat on a beach"}, "targets": targets})

    assert compile_plan(spec, tokenize_all(spec.prompts, tiny.tokenizer()), 10).self_schedule.T.int().tolist() == [
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 0, 0, 0],
    ]


def test_edits_compose_from_left_to_right():
    edits = [
        {"kind": "refine"},
        {"kind": "reweight", "weights": [{"word": "red", "weight": 3}]},
        {"kind": "reweight", "weights": [{"word": "red", "weight": -2}, {"word": "cat", "weight": 0}]},
    ]
    cross = plan_of({"prompt": "a red cat on a beach", "edits": edits}).cross

    assert cross.alphas[0, :5].tolist() == [1, 1, 0, 1, 1]
    assert cross.equalizer[0, :5].tolist() == [1, 1, -2, 0, 1]


def test_an_occurrence_is_weighted_alone():
    reweight = {"kind": "reweight", "weights": [{"word": "cat", "occurrence": 2, "weight": 5}]}
    cross = plan_of({"prompt": "a cat a cat", "edits": [reweight]}, source="a cat a cat").cross

    assert cross.equalizer[0, :6].tolist() == [1, 1, 1, 1, 5, 1]


def test_a_blend_finds_the_words_of_the_source_by_itself():
    blend = plan_of(swap(local_blend={"words": [{"word": "dog"}]})).blend

    assert blend.words[0].nonzero().tolist() == [[0, 2], [1, 2]]


def test_a_blend_of_a_new_word_looks_at_the_target_alone():
    target = {
        "prompt": "a cat on a red beach",
        "edits": [{"kind": "refine"}],
        "local_blend": {"words": [{"word": "red"}]},
    }

    assert plan_of(target).blend.words[0].nonzero().tolist() == [[1, 5]]


def test_a_target_without_a_blend_is_never_blended():
    targets = [swap(local_blend={"words": [{"word": "dog"}], "start": 0.3}), swap()]
    spec = EditSpec.model_validate({"source": {"prompt": "a cat on a beach"}, "targets": targets})

    assert compile_plan(spec, tokenize_all(spec.prompts, tiny.tokenizer()), 10).blend.first_step.tolist() == [3, 10]


def test_a_reweight_of_one_changes_nothing():
    reweight = {"kind": "reweight", "weights": [{"word": "dog", "weight": 1}]}
    with_it, without = (plan_of(swap(edits=[{"kind": "replace"}, *more])) for more in ([reweight], []))

    assert torch.equal(with_it.cross.folded(0)[0], without.cross.folded(0)[0])


def test_weights_alone_are_aligned_by_tokens():
    """A comma moves every token behind it; their maps were those of their neighbours."""
    weights = [{"word": "beach", "weight": 2}]
    plan = plan_of(
        {"prompt": "a cat on a beach", "edits": [{"kind": "reweight", "weights": weights}]}, "a cat, on a beach"
    )

    assert plan.cross.mapper[0].nonzero()[:7].tolist() == [[0, 0], [1, 1], [2, 2], [4, 3], [5, 4], [6, 5], [7, 6]]
    assert plan.cross.equalizer[0, :7].tolist() == [1, 1, 1, 1, 1, 2, 1]


def test_names_inside_written_words_are_meant_everywhere():
    target = {
        "prompt": "1,cat's,dog",
        "edits": [{"kind": "replace"}, {"kind": "reweight", "weights": [{"word": "dog", "weight": 3}]}],
        "word_windows": [{"word": "dog", "window": {"start": 0.5, "stop": 1}}],
        "local_blend": {"words": [{"word": "dog"}], "source_words": [{"word": "red"}]},
    }
    plan = plan_of(target, "1,cat's,red")

    assert plan.cross.equalizer[0].tolist()[7:9] == [3, 1]
    assert plan.cross.schedule[:, 0, 7].tolist() == [0] * 5 + [1] * 5
    assert plan.blend.words[0].nonzero().tolist() == [[0, 7], [1, 7]]
