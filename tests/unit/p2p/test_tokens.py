"""Words and tokens meet at character offsets."""

import pytest

from p2p.errors import PromptTooLong, WordWithinToken
from p2p.tokens import TokenizedPrompt, tokenize
from tests import tiny
from tests.unit.p2p.said import said


def test_a_split_word_owns_all_its_tokens():
    assert said("a straw|berry here").owned() == ((1,), (2, 3), (4,))


def test_a_name_leaves_the_punctuation_out():
    tokens = tokenize("a dog, on", tiny.tokenizer())

    assert tokens.named("dog") == (2,)
    assert tokens.owned()[1] == (2, 3)


def test_a_character_of_several_bytes_belongs_to_its_word():
    tokens = tokenize("a é dog", tiny.tokenizer())

    assert tokens.owned()[1] == (2, 3)
    assert tokens.named("dog") == (4,)


def test_two_spaces_shift_nothing():
    assert tokenize("a   cat", tiny.tokenizer()).named("cat") == tokenize("a cat", tiny.tokenizer()).named("cat")


def test_a_prompt_is_never_truncated():
    with pytest.raises(PromptTooLong, match="takes 26 tokens and the model reads 24"):
        tokenize(" ".join(["cat"] * 24), tiny.tokenizer(limit=24))


@pytest.mark.parametrize(
    ("prompt", "name", "tokens"),
    [
        ("cat,dog on a beach", "dog", (3,)),
        ("a cat's car", "cat", (2,)),
        ("a cat's car", "cat\u2019s", (2, 3, 4)),
        ("a (cat:1.2) on", "cat", (3,)),
        ("a_cat_on", "cat", (3,)),
        ("\u732b\u5728", "\u5728", (4, 5, 6)),
        ("a cafe\u0301", "caf\u00e9", (2, 3, 4, 5)),
        ("a cat, a dog", "cat a", (2, 4)),
    ],
)
def test_a_name_inside_a_written_word_has_its_own_tokens(prompt, name, tokens):
    assert tokenize(prompt, tiny.tokenizer()).named(name) == tokens


def cut(text: str, *pieces: str) -> TokenizedPrompt:
    """A prompt whose tokens stand for these pieces of it, one behind the other."""
    spans, at = [], 0
    for piece in pieces:
        assert text[at : at + len(piece)] == piece
        spans.append((at, at + len(piece)))
        at += len(piece)
    return TokenizedPrompt(text, tuple(range(len(spans) + 2)), ((0, 0), *spans, (0, 0)), 24)


def test_a_name_that_begins_inside_a_token_is_refused_with_the_tokens():
    prompt = cut("\u732b\u5728\u6d77\u6ee9\u4e0a a", "\u732b\u5728", "\u6d77\u6ee9", "\u4e0a", " a")

    assert prompt.named("\u6d77\u6ee9") == (2,)
    assert prompt.named("\u732b\u5728\u6d77\u6ee9") == (1, 2)
    with pytest.raises(WordWithinToken, match="begins or ends inside a token") as caught:
        prompt.named("\u732b")
    assert caught.value.tokens == ("\u732b\u5728", "\u6d77\u6ee9", "\u4e0a")


def test_the_space_that_a_token_begins_with_is_no_part_of_it():
    """SentencePiece counts it so."""
    assert cut("a cat, on", "a", " cat", ",", " on").named("cat") == (2,)


def test_a_token_that_joins_a_word_and_its_punctuation_cannot_be_named_in_part():
    with pytest.raises(WordWithinToken, match=r"reads 'cat,\|dog'"):
        cut("cat,dog", "cat,", "dog").named("cat")


def test_a_word_without_a_token_cannot_be_named():
    with pytest.raises(WordWithinToken, match="no token stands for 'cat'"):
        TokenizedPrompt("a cat", (0, 1, 2), ((0, 0), (0, 1), (0, 0)), 24).named("cat")


def test_occurrences_count_on_inside_written_words():
    words = tokenize("cat,dog a cat Cat's cat", tiny.tokenizer(limit=40)).words()

    assert [(word.word, word.occurrence) for word in words] == [
        ("cat,dog", 1), ("a", 1), ("cat", 2), ("Cat's", 1), ("cat", 4),
    ]  # fmt: skip
