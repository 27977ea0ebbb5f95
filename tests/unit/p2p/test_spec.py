"""A spec checks itself, and every complaint names its field and what to do."""

import pytest
import torch
from pydantic import ValidationError

from p2p.change.choosing import explicit
from p2p.spec import MAX_COMPLAINTS, MAX_SEED, RECORDED, EditSpec


def spec(source="a cat on a beach", prompt="a dog on a beach", edits=({"kind": "replace"},), **target):
    return {"source": {"prompt": source}, "targets": [{"prompt": prompt, "edits": list(edits), **target}]}


def complaints(body: dict) -> list[tuple[str, tuple]]:
    with pytest.raises(ValidationError) as caught:
        EditSpec.model_validate(body)
    return [(error["type"], error["loc"]) for error in caught.value.errors()]


def test_a_spec_is_unchanged_by_json():
    made = EditSpec.model_validate(spec(local_blend={"words": [{"word": "dog"}]}))

    assert EditSpec.model_validate_json(made.model_dump_json()) == made


def test_replace_needs_as_many_words():
    assert complaints(spec(prompt="a big dog on a beach")) == [("word_counts_differ", ("targets", 0, "edits", 0))]


def test_reweight_alone_needs_equal_prompts():
    reweight = {"kind": "reweight", "weights": [{"word": "dog", "weight": 2}]}

    assert complaints(spec(edits=[reweight])) == [("prompts_differ", ("targets", 0, "edits"))]


@pytest.mark.parametrize("written", ["a Cat on a beach", "a cat, on a beach!", '"a cat"  on a beach'])
def test_reweight_alone_takes_the_same_words_however_they_are_written(written):
    reweight = {"kind": "reweight", "weights": [{"word": "cat", "weight": 2}]}

    assert EditSpec.model_validate(spec(prompt=written, edits=[reweight])).targets[0].prompt == written


def test_a_name_inside_a_longer_word_is_said_to_be_there():
    with pytest.raises(ValidationError, match="'cat' is only a part of 'caterpillar' in 'a caterpillar here'"):
        EditSpec.model_validate(
            spec("a cat here", "a caterpillar here", word_windows=[{"word": "cat", "window": {"stop": 0.5}}])
        )


def test_a_record_is_read_by_the_rules_it_was_accepted_by():
    """The last version took "cafe" for a name of "café" written with a mark of its own, and had accepted it."""
    body = spec("a cafe\u0301 here", "a cafe\u0301 there", word_windows=[{"word": "cafe", "window": {"stop": 0.5}}])

    assert complaints(body) == [("word_not_found", ("targets", 0, "word_windows", 0, "word"))]
    assert EditSpec.model_validate(body, context=RECORDED).targets[0].word_windows[0].word == "cafe"


def test_two_ways_of_aligning_conflict():
    assert complaints(spec(edits=[{"kind": "replace"}, {"kind": "refine"}])) == [
        ("edits_conflict", ("targets", 0, "edits"))
    ]


def test_a_word_that_is_not_in_the_prompt_is_pointed_at_everywhere():
    zebra = {"word": "zebra"}
    body = spec(
        edits=[{"kind": "replace"}, {"kind": "reweight", "weights": [{**zebra, "weight": 2}]}],
        word_windows=[{**zebra, "window": {"stop": 0.5}}],
        local_blend={
            "words": [zebra],
            "source_words": [zebra],
            "subtract_words": [zebra],
            "source_subtract_words": [zebra],
        },
    )
    at = ("targets", 0)

    assert complaints(body) == [
        ("word_not_found", (*at, "edits", 1, "weights", 0, "word")),
        ("word_not_found", (*at, "word_windows", 0, "word")),
        ("word_not_found", (*at, "local_blend", "words", 0, "word")),
        ("word_not_found", (*at, "local_blend", "source_words", 0, "word")),
        ("word_not_found", (*at, "local_blend", "subtract_words", 0, "word")),
        ("word_not_found", (*at, "local_blend", "source_subtract_words", 0, "word")),
    ]


def test_a_thing_that_goes_is_named_in_the_source_alone():
    """A removed thing has no word in the edited prompt."""
    gone = {"source_words": [{"word": "dog"}]}
    made = EditSpec.model_validate(spec("a cat and a dog", "a cat", [{"kind": "refine"}], local_blend=gone))

    assert made.targets[0].local_blend.words == ()


@pytest.mark.parametrize("blend", [{}, {"source_words": []}, {"words": [], "subtract_words": []}])
def test_a_blend_says_where_the_picture_may_change(blend):
    at = ("targets", 0, "local_blend", "words")

    assert complaints(spec(local_blend=blend)) == [("blend_without_words", at)]


@pytest.mark.parametrize(
    ("edits", "stop"),
    [
        ([{"kind": "replace"}], 0.4),
        ([{"kind": "replace"}, {"kind": "reweight", "weights": [{"word": "dog", "weight": 2}]}], 0.4),
        ([{"kind": "reweight", "weights": [{"word": "cat", "weight": 2}]}], 0.8),
    ],
)
def test_a_fader_by_itself_acts_longer_than_an_edit_that_moves_words(edits, stop):
    after = "a dog on a beach" if edits[0]["kind"] == "replace" else "a cat on a beach"
    made = EditSpec.model_validate(spec("a cat on a beach", after, edits))

    assert made.targets[0].cross_window.stop == stop
    assert EditSpec.model_validate_json(made.model_dump_json()) == made


def test_a_box_alone_says_where_the_picture_may_change():
    box = {"left": 0.25, "top": 0, "right": 1, "bottom": 0.5}

    assert EditSpec.model_validate(spec(local_blend={"box": box})).targets[0].local_blend.box.left == 0.25


def test_a_mask_alone_says_where_the_picture_may_change():
    made = EditSpec.model_validate(spec(local_blend={"mask": {"upload": "img_" + "0" * 32}}))

    assert {index: mask.upload for index, mask in made.masks.items()} == {0: "img_" + "0" * 32}
    assert made.names_pictures
    assert not EditSpec.model_validate(spec()).names_pictures


@pytest.mark.parametrize("mask", [{}, {"upload": "mask.png"}, {"upload": "img_" + "0" * 32, "url": "https://a.b/"}])
def test_a_mask_is_an_upload_or_a_url(mask):
    found = complaints(spec(local_blend={"mask": mask}))

    assert {loc[:4] for _, loc in found} == {("targets", 0, "local_blend", "mask")}


@pytest.mark.parametrize(("side", "at"), [("left", "right"), ("top", "bottom")])
def test_a_box_has_a_size(side, at):
    box = {"left": 0, "top": 0, "right": 1, "bottom": 1, side: 1}

    assert complaints(spec(local_blend={"box": box})) == [
        ("box_empty", ("targets", 0, "local_blend", "box", at)),
    ]


def test_a_spec_of_nothing_but_wrong_names_is_not_complained_of_to_its_end():
    windows = [{"word": f"zebra{index}", "window": {"stop": 0.5}} for index in range(32)]
    target = spec(word_windows=windows)["targets"][0]

    assert len(complaints(spec() | {"targets": [target] * 64})) == MAX_COMPLAINTS


def test_an_occurrence_that_is_not_there_is_pointed_at():
    body = spec(word_windows=[{"word": "a", "occurrence": 3, "window": {"stop": 0.5}}])

    assert complaints(body) == [("word_not_found", ("targets", 0, "word_windows", 0, "occurrence"))]


@pytest.mark.parametrize(
    "window",
    [
        {"start": -0.1},
        {"stop": 1.1},
        {"start": float("nan")},
        {"start": 0.8, "stop": 0.2},
        {"stop": 2.5, "unit": "steps"},
        {"stop": 3, "unit": "seconds"},
    ],
)
def test_a_window_outside_the_run_is_refused(window):
    assert complaints(spec(self_window=window))[0][1][:3] == ("targets", 0, "self_window")


def test_an_unknown_field_is_refused():
    assert complaints(spec(strength=1)) == [("extra_forbidden", ("targets", 0, "strength"))]


def test_braces_in_a_prompt_survive_in_the_message():
    with pytest.raises(ValidationError, match=r"'\{dog\}s' is not in"):
        EditSpec.model_validate(spec(word_windows=[{"word": "{dog}s", "window": {}}]))


@pytest.mark.parametrize(
    ("sampling", "complaint"),
    [
        ({"seed": 3, "seeds": [1, 2]}, ("seeds_conflict", ("sampling", "seed"))),
        ({"seeds": [1, 2, 1]}, ("seed_repeated", ("sampling", "seeds", 2))),
        ({"seeds": []}, ("too_short", ("sampling", "seeds"))),
        ({"seeds": list(range(65))}, ("too_long", ("sampling", "seeds"))),
        ({"seeds": [-2]}, ("greater_than_equal", ("sampling", "seeds", 0))),
        ({"seeds": [2**32]}, ("less_than_equal", ("sampling", "seeds", 0))),
    ],
)
def test_seeds_are_told_apart_and_are_not_too_many(sampling, complaint):
    assert complaints(spec() | {"sampling": sampling}) == [complaint]


def test_seeds_are_what_is_run_whether_one_is_given_or_several():
    one, several = (EditSpec.model_validate(spec() | {"sampling": s}) for s in ({"seed": 5}, {"seeds": [7, 0]}))

    assert (one.seeds, several.seeds) == ((5,), (7, 0))
    assert several.of_seeds(5) == one
    assert one.of_seeds(7, 0) == several
    assert EditSpec.model_validate_json(several.model_dump_json()) == several


@pytest.mark.parametrize("seed", [0, 1, 2**31, MAX_SEED])
def test_no_two_seeds_give_the_same_noise(seed):
    """torch's generator takes the lower 32 bits: one more would be another seed's noise again."""

    def noise(of: int) -> torch.Tensor:
        return torch.randn(4, generator=torch.Generator().manual_seed(of))

    assert not torch.equal(noise(seed), noise((seed + 1) % (MAX_SEED + 1)))
    assert torch.equal(noise(seed), noise(seed + MAX_SEED + 1))


def test_a_recorded_edit_keeps_a_seed_that_was_once_allowed():
    body = spec() | {"sampling": {"seed": 2**53 - 1}}

    with pytest.raises(ValidationError, match="less than or equal to 4294967295"):
        EditSpec.model_validate(body)
    assert EditSpec.model_validate(body, context=RECORDED).sampling.seed == 2**53 - 1


def test_what_a_later_version_brought_is_written_only_where_it_is_said():
    """A worker of the version before refuses a record with a field that it does not know."""
    automatic = explicit(EditSpec.model_validate({**spec(), "targets": [{"prompt": "a dog on a beach"}]}))
    refine = {"kind": "refine", "filled_by": []}
    used = EditSpec.model_validate(spec(edits=[refine], local_blend={"words": [{"word": "dog"}], "fresh_noise": True}))

    assert not [name for name in ("keep", "fresh_noise", "filled_by") if f'"{name}"' in automatic.model_dump_json()]
    assert EditSpec.model_validate_json(used.model_dump_json()) == used
