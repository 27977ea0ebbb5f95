"""A target without edits, and the explicit one that it means."""

from typing import get_args

import pytest
import torch
from hypothesis import assume, given
from pydantic import ValidationError

from p2p.change.choosing import chosen, explicit
from p2p.change.reading import ChangeKind
from p2p.change.strategies import STRATEGIES
from p2p.edit import edit
from p2p.preparation import prepare, sampler_of
from p2p.spec import EditSpec, Target
from p2p.words import same_words, written
from tests.unit.p2p.test_change import PROMPTS


def spec(prompt: str, source: str = "a cat on a beach", **target) -> EditSpec:
    return EditSpec.model_validate(
        {
            "source": {"prompt": source},
            "targets": [{"prompt": prompt, **target}],
            "sampling": {"steps": 4, "seed": 1, "guidance_scale": 3},
        }
    )


def choice(source: str, target: str, **said) -> dict:
    """What is chosen, as JSON."""
    return chosen(source, Target.model_validate({"prompt": target, **said})).model_dump(mode="json")


def names(words: list[dict]) -> list[str]:
    return [word["word"] for word in words]


def test_every_kind_of_change_has_a_strategy():
    assert set(STRATEGIES) == set(get_args(ChangeKind))


def test_a_thing_is_swapped_within_the_region_of_both():
    made = choice("a cat on a beach", "a dog on a beach")

    assert made["edits"] == [{"kind": "replace"}]
    assert (made["cross_window"]["stop"], made["self_window"]["stop"]) == (0.3, 0.4)
    assert names(made["local_blend"]["words"]) == ["dog"]
    assert names(made["local_blend"]["source_words"]) == ["cat"]


def test_a_thing_keeps_its_maps_for_longer_where_it_changes_an_attribute_alone():
    for prompt, cross in (("a red car on a beach", 0.4), ("a cat on a beach", 0.3)):
        assert choice("a blue car on a beach", prompt)["cross_window"]["stop"] == cross


def test_an_attribute_changes_its_noun_alone():
    made = choice("a red car and a tree", "a blue car and a tree")["local_blend"]

    assert (names(made["words"]), names(made["source_words"])) == (["blue", "car"], ["red", "car"])


def test_a_removed_thing_is_named_in_the_source():
    made = choice("a cat and a dog in a park", "a cat in a park")

    assert (made["local_blend"]["words"], names(made["local_blend"]["source_words"])) == ([], ["dog"])
    assert (made["cross_window"]["stop"], made["self_window"]["stop"]) == (1.0, 0.0)


def test_a_removed_things_place_is_filled_by_the_setting():
    made = choice("a cat and a dog on a sandy beach", "a cat on a sandy beach")

    assert [edit["kind"] for edit in made["edits"]] == ["refine"]
    assert names(made["edits"][0]["filled_by"]) == ["sandy", "beach"]


def test_without_a_setting_the_end_of_the_prompt_fills_the_place():
    assert choice("a cat and a dog", "a cat")["edits"] == [{"kind": "refine", "filled_by": []}]


def test_where_words_also_stand_for_others_no_attention_is_given_on():
    made = choice("a cat and a dog on a beach", "a fox on a beach")

    assert all(edit.get("filled_by") is None for edit in made["edits"])


def test_where_the_place_changes_things_are_kept_in_the_pixels_if_that_is_wanted():
    made = choice("a red cat on a beach", "a red cat on a lawn", keep="things")

    assert names(made["local_blend"]["source_subtract_words"]) == ["red", "cat"]
    assert made["local_blend"]["start"] == 1.0
    assert "keep" not in made


def test_what_a_model_keeps_is_kept_unless_the_blend_is_said():
    asked = spec("a cat on a lawn")
    boxed = spec("a cat on a lawn", local_blend={"box": {"left": 0, "top": 0, "right": 1, "bottom": 0.5}})

    assert explicit(asked).targets[0].local_blend is None
    assert explicit(asked, "things").targets[0].local_blend.source_subtract_words
    assert explicit(boxed, "things").targets[0].local_blend == boxed.targets[0].local_blend


@pytest.mark.parametrize("target", ["a cat on a beach at night", "a dog on a lawn", "a cat on a lawn, oil painting"])
def test_things_are_kept_only_where_nothing_but_the_place_changes(target):
    assert not (choice("a cat on a beach", target, keep="things")["local_blend"] or {}).get("source_subtract_words")


@pytest.mark.parametrize("said", [{"edits": [{"kind": "replace"}]}, {"local_blend": {"words": [{"word": "lawn"}]}}])
def test_what_is_kept_is_not_chosen_beside_settings_that_are_said(said):
    with pytest.raises(ValidationError, match="keep_with_settings"):
        spec("a cat on a lawn", keep="things", **said)


@pytest.mark.parametrize(
    "target",
    ["a cat on a beach at night", "a cat on a lawn", "a cat and a dog on a beach", "a cat with a hat on a beach"],
)
def test_what_has_no_region_may_change_the_whole_picture(target):
    assert choice("a cat on a beach", target)["local_blend"] is None


def test_one_change_without_a_region_frees_the_whole_picture():
    assert choice("a cat on a beach", "a dog on a beach at night")["local_blend"] is None


def test_a_word_that_a_prompt_repeats_is_named_by_its_occurrence():
    made = choice("a red cat and a red dog", "a red cat and a blue dog")["local_blend"]

    assert made["source_words"][0] == {"word": "red", "occurrence": 2}


def test_what_is_said_wins_over_what_is_chosen():
    window, blend = {"start": 0, "stop": 0.7, "unit": "share"}, {"words": [{"word": "beach"}]}

    made = choice("a cat on a beach", "a dog on a beach", self_window=window, local_blend=blend)

    assert made["self_window"] == window
    assert names(made["local_blend"]["words"]) == ["beach"]
    assert made["cross_window"]["stop"] == 0.3


def test_what_is_said_wins_though_it_is_the_default():
    made = choice("a cat", "a cat and a dog", cross_window={"stop": 0.4})

    assert (made["cross_window"]["stop"], made["self_window"]["stop"]) == (0.4, 0.0)


@given(PROMPTS, PROMPTS)
def test_what_is_chosen_is_an_explicit_request_that_is_taken(source, target):
    assume(not same_words(written(source), written(target)))
    asked = EditSpec.model_validate({"source": {"prompt": source}, "targets": [{"prompt": target}]})
    made = explicit(asked)

    assert EditSpec.model_validate(made.model_dump(mode="json")) == made
    assert explicit(made) is made


def test_an_automatic_edit_is_the_explicit_one_that_was_chosen(family):
    automatic = spec("a dog on a beach")

    one, other = edit(automatic, family), edit(explicit(automatic), family)

    assert torch.equal(one.latents, other.latents)
    assert one.masks[0] is not None


def test_no_edits_carry_no_attention_over(family):
    """The target's picture is the one that its prompt makes of the source's noise."""
    alone = edit(spec("a dog in a park", edits=[]), family)
    plain = edit(spec("a cat", source="a dog in a park", edits=[{"kind": "refine"}]), family)

    # One is computed beside another prompt: rounding of float32.
    assert torch.allclose(alone.latents[1], plain.latents[0], atol=1e-4)


def test_no_edits_have_no_schedule(family):
    asked = spec("a dog in a park", edits=[], local_blend={"words": [{"word": "dog"}]})
    plan = prepare(asked, family, sampler_of(asked, family)).plan

    assert not plan.cross.schedule.any()
    assert not plan.self_schedule.any()
    assert plan.blend is not None


def codes(**body) -> list[tuple[str, tuple]]:
    with pytest.raises(ValidationError) as raised:
        EditSpec.model_validate(body)
    return [(each["type"], each["loc"]) for each in raised.value.errors()]


@pytest.mark.parametrize("target", ["a cat on a beach", "A cat, on a beach"])
def test_equal_prompts_without_edits_are_refused(target):
    assert codes(source={"prompt": "a cat on a beach"}, targets=[{"prompt": target}]) == [
        ("prompts_equal", ("targets", 0, "prompt"))
    ]


def test_a_picture_whose_prompt_has_nothing_in_common_with_the_edited_one_is_refused():
    source = {"prompt": "my photo", "image": {"upload": "img_" + "0" * 32}}

    found = codes(source=source, targets=[{"prompt": "an astronaut on a horse"}])

    assert found == [("picture_not_described", ("targets", 0, "prompt"))]


@pytest.mark.parametrize("field", [{"cross_window": {"stop": 0.5}}, {"word_windows": [{"word": "dog", "window": {}}]}])
def test_a_window_of_words_without_edits_is_refused(field):
    found = codes(source={"prompt": "a cat"}, targets=[{"prompt": "a dog", "edits": [], **field}])

    assert found == [("window_without_edits", ("targets", 0, next(iter(field))))]


def test_a_record_of_a_time_when_edits_were_needed_is_read():
    record = spec("a dog on a beach", edits=[{"kind": "replace"}]).model_dump(mode="json")

    assert (
        EditSpec.model_validate(record, context="recorded").targets[0].edits
        == explicit(spec("a dog on a beach")).targets[0].edits
    )
