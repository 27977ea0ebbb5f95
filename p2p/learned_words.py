"""Words that textual inversions add to a tokenizer, of one token or of several; torch is not needed.

The API and the workers add them to their own tokenizers, in the models file's order, and so give them the same ids. A
word of several vectors is read as one token and then stands for several, all of the same characters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from p2p.words import words_of


class UnusableToken(ValueError):
    """A token cannot be a word of a model; the message says why, and what to do."""


@dataclass(frozen=True)
class LearnedWord:
    """A word that a model learned.

    Attributes:
        token: as prompts write it.
        ids: its tokens; the first is the one that the tokenizer reads.
    """

    token: str
    ids: tuple[int, ...]


class LearnedWords:
    """The learned words of one tokenizer."""

    def __init__(self, words: Sequence[LearnedWord] = ()) -> None:
        self.words = tuple(words)
        self._by_id = {word.ids[0]: word for word in words}

    def __bool__(self) -> bool:
        return bool(self.words)

    @property
    def tokens_per_character(self) -> int:
        """Of how many tokens a character of a word is at most, rounded up."""
        return max((-(-len(word.ids) // len(word.token)) for word in self.words), default=0)

    def expanded(self, ids: Sequence[int]) -> list[int]:
        """The ids, each learned word as all of its tokens."""
        return [token for each in ids for token in self._tokens(each)]

    def spans(self, prompt: str, ids: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Per token of `expanded(ids)` the characters it came from.

        Those of a learned word are without the punctuation around it: `<cat-toy>` is named as cat-toy as well.

        Args:
            spans: per token of `ids`.
        """
        found = []
        for each, (start, stop) in zip(ids, spans, strict=True):
            span = _inner(prompt, start, stop) if each in self._by_id else (start, stop)
            found += [span] * len(self._tokens(each))
        return found

    def _tokens(self, token: int) -> tuple[int, ...]:
        word = self._by_id.get(token)
        return (token,) if word is None else word.ids


def learn(tokenizer: Any, vectors: Sequence[tuple[str, int]]) -> LearnedWords:
    """Adds words to a tokenizer of the `tokenizers` package.

    Args:
        vectors: each token, and of how many vectors it is.
    Raises:
        UnusableToken: one of them is a word already, or no word.
    """
    from tokenizers import AddedToken

    before = tokenizer.get_vocab_size()
    further = before + len(vectors)
    words = []
    for number, (token, count) in enumerate(vectors):
        _refuse(tokenizer, token)
        # Found where it stands as a word of its own, in any case where the model's other words are.
        tokenizer.add_tokens([AddedToken(token, normalized=True, single_word=True)])
        first = before + number
        if _ids(tokenizer, token) != [first]:
            raise UnusableToken(f"the tokenizer does not read {token!r} as one word: set `token` to another")
        words.append(LearnedWord(token, (first, *range(further, further + count - 1))))
        further += count - 1
    return LearnedWords(words)


def _refuse(tokenizer: Any, token: str) -> None:
    found = words_of(token)
    if len(found) != 1 or found[0].whole != (0, len(token)) or not any(each.isalnum() for each in token):
        raise UnusableToken(f"the token {token!r} is not one word: set `token` to letters and digits without spaces")
    ids = _ids(tokenizer, token)
    unknown = getattr(tokenizer.model, "unk_token", None)
    is_unknown = unknown is not None and [tokenizer.token_to_id(unknown)] == ids
    if tokenizer.token_to_id(token) is not None or (len(ids) == 1 and not is_unknown):
        raise UnusableToken(
            f"the token {token!r} is a word of the model already: set `token` to one that is none, such as <{token}>"
        )


def _ids(tokenizer: Any, text: str) -> list[int]:
    read = tokenizer.encode(text, add_special_tokens=False)
    # The tokenizer's file may say to fill up to the model's length.
    return [token for token, is_text in zip(read.ids, read.attention_mask, strict=True) if is_text]


def _inner(prompt: str, start: int, stop: int) -> tuple[int, int]:
    found = words_of(prompt[start:stop])
    return (start + found[0].start, start + found[-1].stop) if found else (start, stop)
