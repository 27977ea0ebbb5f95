"""Mappers against tables written by hand: column n lists (source token, share) for target token n.

Token 0 is the start, then the words, then the end, then padding up to 8.
"""

import pytest
import torch

from p2p.alignment import filled, refinement_mapper, replacement_mapper
from p2p.edits import has_counterpart
from tests.unit.p2p.said import said


def table(columns: list[list[tuple[int, float]]]) -> torch.Tensor:
    mapper = torch.zeros(8, 8)
    for column, entries in enumerate(columns):
        for row, share in entries:
            mapper[row, column] = share
    return mapper


def one(*rows: int | None) -> list[list[tuple[int, float]]]:
    return [[] if row is None else [(row, 1)] for row in rows]


# source, target, default table, compat table, columns in which they differ (sampler.md 1.8)
REPLACEMENTS = {
    "one token to one": (
        "a cat sits here", "a dog sits here",
        one(0, 1, 2, 3, 4, 5, 6, 7), one(0, 1, 2, 3, 4, 5, 6, 7), set(),
    ),
    "one token to two, followed by more words": (
        "a cat sits here", "a rab|bit sits here",
        [*one(0, 1), [(2, 0.5)], [(2, 0.5)], *one(3, 4, 5, 6)],
        [*one(0, 1), [(2, 0.5)], [(2, 0.5)], *one(4, 5, 6, 7)], {4, 5, 6, 7},
    ),
    "two tokens to one, followed by more words": (
        "a rab|bit sits here", "a cat sits here",
        [*one(0, 1), [(2, 1), (3, 1)], *one(4, 5, 6, 7, None)],
        [*one(0, 1), [(2, 1), (3, 1)], *one(3, 4, 5, 6, None)], {3, 4, 5, 6},
    ),
    "two swaps: between them both are right": (
        "a cat eats pizza", "a rab|bit eats cake",
        [*one(0, 1), [(2, 0.5)], [(2, 0.5)], *one(3, 4, 5, 6)],
        [*one(0, 1), [(2, 0.5)], [(2, 0.5)], *one(3, 4, 6, 7)], {6, 7},
    ),
    "two tokens to three take equal parts of both": (
        "rab|bit sits", "pan|gol|in sits",
        [*one(0), *[[(1, 1 / 3), (2, 1 / 3)]] * 3, *one(3, 4, 5, 6)],
        [*one(0), *[[(1, 1 / 3), (2, 1 / 3)]] * 3, *one(4, 5, 6, 7)], {4, 5, 6, 7},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPLACEMENTS)
def test_a_replacement_equals_the_table(name):
    source, target, default, compat, differing = REPLACEMENTS[name]

    made = replacement_mapper(said(source), said(target))
    published = replacement_mapper(said(source), said(target), compat=True)

    torch.testing.assert_close(made, table(default), rtol=0, atol=0)
    torch.testing.assert_close(published, table(compat), rtol=0, atol=0)
    assert {n for n in range(8) if not torch.equal(made[:, n], published[:, n])} == differing


def test_after_a_swap_of_two_tokens_for_one_the_last_column_keeps_its_own_map():
    mapper = replacement_mapper(said("a rab|bit sits here"), said("a cat sits here"))

    assert has_counterpart(mapper).tolist() == [1, 1, 1, 1, 1, 1, 1, 0]


def test_a_replacement_keeps_all_the_attention_of_the_words():
    mapper = replacement_mapper(said("a rab|bit eats pizza"), said("a cat eats straw|ber|ry"))

    assert mapper.sum(1)[: len(said("a rab|bit eats pizza"))].tolist() == pytest.approx([1] * 7)


# source, target, default table, compat table, columns in which they differ (sampler.md 1.9)
REFINEMENTS = {
    "a word added": (
        "a cat here", "a red cat here", one(0, 1, None, 2, 3, 4, 6, 7), one(0, 1, None, 2, 3, 4, 6, 7), set(),
    ),
    "a word removed": (
        "a red cat here", "a cat here", one(0, 1, 3, 4, 5, None, 6, 7), one(0, 1, 3, 4, 5, 5, 6, 7), {5},
    ),
    "two words removed": (
        "a big red cat", "a cat", one(0, 1, 4, 5, None, None, 6, 7), one(0, 1, 4, 5, 4, 5, 6, 7), {4, 5},
    ),
    "a repeated word: the earliest is the old one": (
        "a cat here", "a cat cat here", one(0, 1, 2, None, 3, 4, 6, 7), one(0, 1, 2, None, 3, 4, 6, 7), set(),
    ),
    "a changed word is new": (
        "a cat here", "a dog here", one(0, 1, None, 3, 4, 5, 6, 7), one(0, 1, None, 3, 4, 5, 6, 7), set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFINEMENTS)
def test_a_refinement_equals_the_table(name):
    source, target, default, compat, differing = REFINEMENTS[name]

    made = refinement_mapper(said(source), said(target))
    published = refinement_mapper(said(source), said(target), compat=True)

    torch.testing.assert_close(made, table(default), rtol=0, atol=0)
    torch.testing.assert_close(published, table(compat), rtol=0, atol=0)
    assert {n for n in range(8) if not torch.equal(made[:, n], published[:, n])} == differing


@pytest.mark.parametrize("by", [(), ("here",)])
def test_words_that_go_give_their_attention_to_the_setting_and_the_end(by):
    """The words that go are "and dog"."""
    source, target = said("cat and dog sits here"), said("cat sits here")
    named = torch.zeros(8)
    named[[token for word in by for token in target.named(word)]] = 1
    mapper = refinement_mapper(source, target)

    made = filled(mapper, source, target, named)

    gone, kept = [2, 3], [0, 1, 4, 5, 6, 7]
    assert torch.allclose(made[gone].sum(1), torch.ones(2))  # sums of a few float32 shares
    assert torch.equal(made[kept], mapper[kept])
    assert not made[gone][:, [1, 2]].any()  # "cat" and "sits" take none of it
    assert (made[gone] @ named).tolist() == [0.5 if by else 0.0] * 2


def test_nothing_is_given_on_where_no_word_goes():
    source, target = said("a cat sits"), said("a red cat sits")
    mapper = refinement_mapper(source, target)

    assert torch.equal(filled(mapper, source, target, torch.ones(8)), mapper)
