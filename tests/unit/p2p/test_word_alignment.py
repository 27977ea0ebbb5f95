"""What a person is shown of two prompts is what the sampler's matrices do."""

import pytest

from p2p.alignment import refinement_mapper, replacement_mapper
from p2p.tokens import tokenize_all
from p2p.word_alignment import align_words, fitting_kind
from tests import tiny
from tests.unit.p2p.said import said

PAIRS = {
    "a swap": ("a cat sits here", "a dog sits here", "replace"),
    "a swap for a longer word": ("a cat sits here", "a rab|bit sits here", "replace"),
    "a swap for a shorter word": ("a rab|bit sits here", "a cat sits here", "replace"),
    "words added at the end": ("a cat sits", "a cat sits at night", "refine"),
    "a word added inside": ("a cat sits", "a big cat sits", "refine"),
    "a word removed": ("a big cat sits", "a cat sits", "refine"),
    "a word that keeps a part": ("a rab|bit sits", "a rab|ble sits", "refine"),
    "a word swapped by a refinement": ("a cat sits", "a dog sits", "refine"),
    "a repeated word": ("a cat and a dog", "a dog", "refine"),
    "two words joined": ("rab bit sits", "rab|bit sits", "refine"),
    "nothing in common": ("cat", "dog sits here", "refine"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_words_sources_are_the_words_whose_attention_it_is_given(name):
    before, after, kind = PAIRS[name]
    source, target = said(before, limit=12), said(after, limit=12)
    mapper = {"replace": replacement_mapper, "refine": refinement_mapper}[kind](source, target)

    words = align_words(source, target, kind).words

    for word, tokens in zip(words, target.owned(), strict=True):
        given = tuple(
            index for index, owned in enumerate(source.owned()) if mapper[list(owned)][:, list(tokens)].any().item()
        )
        assert word.sources == given


@pytest.mark.parametrize(
    ("name", "states", "removed"),
    [
        ("a swap", "kept changed kept kept", ()),
        ("a swap for a longer word", "kept changed kept kept", ()),
        ("words added at the end", "kept kept kept added added", ()),
        ("a word added inside", "kept added kept kept", ()),
        ("a word removed", "kept kept kept", (1,)),
        ("a word that keeps a part", "kept changed kept", ()),
        ("a word swapped by a refinement", "kept added kept", (1,)),
        ("two words joined", "changed kept", ()),
    ],
)
def test_words_are_kept_changed_added_or_removed(name, states, removed):
    before, after, kind = PAIRS[name]

    alignment = align_words(said(before, limit=12), said(after, limit=12), kind)

    assert " ".join(word.state for word in alignment.words) == states
    assert alignment.removed == removed


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        ("a cat on a beach", "a dog on a beach", "replace"),
        ("a cat on a beach", "two dogs in the snow", "replace"),
        ("a cat on a beach", "a cat on a beach at night", "refine"),
        ("a cat on a beach", "a cat", "refine"),
        ("a big cat sits", "a cat sits here", "refine"),
        ("a cat on a beach", "a beach on a cat", "replace"),
        ("a cat on a beach", "a cat on a beach", None),
        ("a cat on a beach", "A  Cat on a\tBEACH", None),
        ("a Cat on a beach", "a dog on A beach", "replace"),
        ("a cat, on a beach", "a cat on a  beach", "refine"),
        ("a cat on a beach", '"a cat" on a beach.', "refine"),
        ("cat,dog on a beach", "cat, dog on a beach", None),
    ],
)
def test_the_edit_that_fits_is_found_by_the_words(source, target, kind):
    assert fitting_kind(*tokenize_all([source, target], tiny.tokenizer())) == kind


@pytest.mark.parametrize(
    ("source", "target", "states"),
    [
        ("a cat, on", "a dog on", "kept changed kept"),
        ("a cat on", "a dog on.", "kept changed kept"),
        ("a cat on", '"a dog" on', "kept changed kept"),
        ("a (cat) on", "a dog! on", "kept changed kept"),
    ],
)
def test_punctuation_takes_nothing_from_the_words_of_a_replacement(source, target, states):
    """A full stop behind the last word had taken half of that word's attention."""
    before, after = tokenize_all([source, target], tiny.tokenizer())
    mapper = replacement_mapper(before, after)

    assert " ".join(word.state for word in align_words(before, after, "replace").words) == states
    for old, new in zip(before.words(), after.words(), strict=True):
        assert mapper[list(old.tokens)][:, list(new.tokens)].tolist() == [[1.0]]


def test_the_same_words_correspond_each_to_itself():
    alignment = align_words(said("a cat and a dog"), said("a cat and a dog"), None)

    assert [(word.state, word.sources) for word in alignment.words] == [("kept", (i,)) for i in range(5)]
    assert alignment.removed == ()


def test_a_word_without_a_token_has_no_counterpart():
    """Some tokenizers drop control characters; then there is nothing that could take attention from anything."""
    empty = said("a cat")
    dropped = type(empty)("\x01 cat", (empty.ids[0], *empty.ids[2:]), ((0, 0), (2, 5), (0, 0)), empty.limit)

    assert [word.state for word in align_words(empty, dropped, "replace").words] == ["added", "kept"]
