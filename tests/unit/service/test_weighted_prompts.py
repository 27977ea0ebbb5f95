"""Weights in prompts, as other programs write them, and the plain request that they mean."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.words import WrittenPrompt
from prompts.weighted_prompts import UnreadableWeights, weighted
from tests.work import events_of


@pytest.mark.parametrize(
    ("prompt", "text", "weights"),
    [
        ("a (cat:1.2) here", "a cat here", {("cat", None): 1.2}),
        ("a (cat) here", "a cat here", {("cat", None): 1.1}),
        ("a [cat] here", "a cat here", {("cat", None): 0.909091}),
        ("((cat)) [[dog]]", "cat dog", {("cat", None): 1.21, ("dog", None): 0.826446}),
        ("(a (cat:1.5) on:2) b", "a cat on b", {("a", None): 2, ("cat", None): 3, ("on", None): 2}),
        ("a ( cat : .5 ) x", "a  cat  x", {("cat", None): 0.5}),
        ("a (cat:-1) here", "a cat here", {("cat", None): -1}),
        ("a cat and a (cat:2)", "a cat and a cat", {("cat", 2): 2}),
        ("(cat, dog:1.3) here", "cat, dog here", {("cat", None): 1.3, ("dog", None): 1.3}),
        ("cat,(dog:2)", "cat,dog", {("dog", None): 2}),
        ("(cat:2)'s red-(haired:3) dog", "cat's red-haired dog", {("cat", None): 2, ("haired", None): 3}),
        ("\u732b(\u5728:1.2)\u6d77", "\u732b\u5728\u6d77", {("\u5728", None): 1.2}),
        (r"\(a cat\) \[on\] a\\b", r"(a cat) [on] a\b", {}),
        ("(cat:1) ([dog])", "cat dog", {}),
        ("() [] (  )", "", {}),
        ("[a:b:0.5] [a|b] (cat:2)", "[a:b:0.5] [a|b] cat", {("cat", None): 2}),
        ("{a|b} <lora:x:1> BREAK cat++", "{a|b} <lora:x:1> BREAK cat++", {}),
        ("a (cat:) x", "a cat: x", {("cat", None): 1.1}),
        ("a cat", "a cat", {}),
    ],
)
def test_brackets_are_read_as_weights(prompt, text, weights):
    found = weighted(prompt)

    assert found.text == text
    assert {(one.word, one.occurrence): one.weight for one in found.weights} == weights


@pytest.mark.parametrize(
    ("prompt", "names"),
    [("(👍:1.5) dog", ["👍"]), ("(❤️ cat:2)", ["❤️", "cat"]), ("(,:1.5) dog", [","]), ("(cat , dog:2)", ["cat", "dog"])],
)
def test_symbols_are_weighed_and_punctuation_if_it_stands_alone(prompt, names):
    assert [one.word for one in weighted(prompt).weights] == names


def test_a_colon_that_is_followed_by_words_is_text():
    assert weighted("(time: noon)").text == "time: noon"


@pytest.mark.parametrize(
    ("prompt", "code", "said"),
    [
        ("a (cat", "bracket_not_closed", "( at character 3"),
        ("a cat]", "bracket_not_closed", "] at character 6"),
        ("a (cat] x", "bracket_not_closed", "] at character 7"),
        ("a smile :)", "bracket_not_closed", r"write \)"),
        ("cater(pillar:1.2)", "weight_within_word", "'pillar'"),
        ("(cat)(dog)", "weight_within_word", "'cat'"),
        ("(cat:51)", "weight_out_of_range", "come to 51"),
        ("(" * 50 + "cat" + ")" * 50, "weight_out_of_range", "'cat'"),
        ("(cat:1,5)", "weight_not_read", "':1,5'"),
        ("(cat:1e3)", "weight_not_read", "':1e3'"),
        ("(cat:+1_2 )", "weight_not_read", "':+1_2'"),
        ("(cat:1.5:2)", "weight_not_read", "':1.5'"),
        ("[[cat]:1.5]", "weight_not_read", "':1.5'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(prompt, code, said):
    with pytest.raises(UnreadableWeights) as caught:
        weighted(prompt)

    assert caught.value.code == code
    assert said in str(caught.value)


# What weights are made of, in any order.
pieces = st.sampled_from(
    ["(", ")", "[", "]", ":1.5", ":-2", ":", "|", "\\", "cat", " ", "dog", ",", "'s", "\u732b", "ß"]
)


@settings(deadline=None)
@given(st.lists(pieces, max_size=25).map("".join))
def test_every_weight_names_a_word_of_the_text(prompt):
    try:
        found = weighted(prompt)
    except UnreadableWeights:
        return

    for one in found.weights:
        assert WrittenPrompt(found.text).holds(one.word, one.occurrence)
        assert one.occurrence is not None or WrittenPrompt(found.text).count(one.word) == 1
    assert len({(one.word, one.occurrence) for one in found.weights}) == len(found.weights)


@pytest.mark.parametrize(
    "hard",
    [
        lambda n: "(a) " * n,
        lambda n: "(" * n + "a" + ":1)" * n,
        lambda n: "[a|" * n,
        lambda n: "(a:" * n,
        lambda n: "a " * n + "(b)",
        lambda n: "(a" + " a" * n + ")",
    ],
)
def test_reading_takes_work_in_proportion_to_the_prompt(hard):
    def work(prompt: str) -> int:
        def read() -> None:
            with suppress(UnreadableWeights):
                weighted(prompt)

        return events_of(read)

    work(hard(400))  # what is kept of a character is kept from here on
    assert work(hard(400)) < 9 * work(hard(50))
