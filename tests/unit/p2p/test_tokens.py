"""Words and tokens meet at character offsets."""

import pytest

from p2p.errors import PromptTooLong
from p2p.tokens import tokenize
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
