"""What two prompts ask for, read from the words alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.quality.changes import KINDS
from p2p.change.reading import Reading, read
from p2p.words import words_of, written
from scenes.world import PLACES, STYLES, THINGS, TINTS, Scene, Thing

PIECES = (
    *("a", "an", "the", "cat", "dog", "Hut", "猫", "red", "black", "white", "sleeping", "hat", "beach", "night", "two"),
    *("no", "with", "in", "on", "of", "and", "by", ",", ".", "a,", "cat,", "(cat)", "don't", "3", "painting"),
)
PROMPTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map(" ".join)


def reading(source: str, target: str) -> Reading:
    return read(written(source), written(target))


def said(source: str, target: str) -> list[tuple[str, str, str, str]]:
    """Of each change its kind, the words that go, those that come, and those that it is about."""
    old, new = ([word.text for word in words_of(prompt)] for prompt in (source, target))
    return [
        (
            change.kind,
            " ".join(old[i] for i in change.gone),
            " ".join(new[j] for j in change.new),
            " ".join(new[j] for _, j in change.about),
        )
        for change in reading(source, target).changes
    ]


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("a cat on a beach", "a dog on a beach", ("thing", "cat", "dog", "")),
        ("a red sports car", "a blue sports car", ("attribute", "red", "blue", "sports car")),
        ("the cat is black", "the cat is white", ("attribute", "black", "white", "cat")),
        ("a cat on a beach", "a cat on a lawn", ("place", "beach", "lawn", "")),
        ("a photo of a cat", "a sketch of a cat", ("style", "photo", "sketch", "")),
        ("a cat on a sofa", "a cat with a hat on a sofa", ("add", "", "hat", "cat")),
        ("a cat and a dog in a park", "a cat in a park", ("remove", "dog", "", "")),
    ],
)
def test_each_kind_is_read_with_the_words_that_it_is_about(source, target, expected):
    assert said(source, target) == [expected]


def test_several_changes_in_one_prompt_are_each_read():
    assert said("a red car in a town", "a blue car in a town at night, with a dog") == [
        ("attribute", "red", "blue", "car"),
        ("style", "", "night", ""),
        ("add", "", "dog", "town"),
    ]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("two cats", "three cats"),  # how many there are has no region
        ("a street", "a street without cars"),  # the word of what is gone is new
        ("a cat on a table", "a cat under a table"),
        ("a cat beside a dog in a park", "a dog beside a cat in a park"),
        ("ein Hund liegt im Garten", "ein Hund liegt im Garten mit Hut"),  # which words are nouns is not known
        ("a cat", "a cat, trending now"),
    ],
)
def test_what_the_words_leave_in_doubt_is_a_style(source, target):
    assert {kind for kind, *_ in said(source, target)} == {"style"}


@pytest.mark.parametrize(
    ("source", "target"), [("a cat on a beach", "an astronaut riding a horse on mars"), ("猫在海滩上", "狗在海滩上")]
)
def test_prompts_that_share_nothing_are_said_to(source, target):
    assert not reading(source, target).related


def test_prompts_of_one_phrase_may_share_no_word():
    assert said("a cat", "a small dog") == [("thing", "cat", "small dog", "")]


@given(PROMPTS, PROMPTS)
def test_every_change_names_words_that_are_there(source, target):
    found = reading(source, target)

    sizes = len(words_of(source)), len(words_of(target))
    for change in found.changes:
        assert change.gone or change.new
        assert all(0 <= i < sizes[0] for i in (*change.gone, *(pair[0] for pair in change.about)))
        assert all(0 <= j < sizes[1] for j in (*change.new, *(pair[1] for pair in change.about)))


@given(PROMPTS)
def test_a_prompt_changes_nothing_of_itself(prompt):
    assert reading(prompt, prompt).changes == ()


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_read(source, target):
    reading(source, target)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_edit_that_is_measured_is_read_as_it_is_meant(seed):
    rng = np.random.default_rng(seed)
    names = rng.choice(list(THINGS), 2, replace=False)
    place = str(rng.choice(list(PLACES)))
    tint = str(rng.choice([each for each in (*TINTS, "") if each != place])) or None
    scene = Scene((Thing(str(names[0]), tint), Thing(str(names[1]))), place, str(rng.choice([*STYLES, ""])) or None)
    meant = {"tint": "attribute", "reweight": None}
    for kind, functions in KINDS.items():
        for function in functions:
            if kind == "reweight" and not (scene.style or tint):
                continue
            change = function(scene, rng)
            if change.before.caption() == change.after.caption():
                continue
            kinds = {found.kind for found in reading(change.before.caption(), change.after.caption()).changes}
            assert kinds == {meant.get(kind, kind)}, (change.before.caption(), change.after.caption())
