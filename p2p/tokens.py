"""Which tokens a word owns: character offsets in, token positions out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from p2p.errors import PromptTooLong
from p2p.words import find, words_of


class PromptTokenizer(Protocol):
    """What is used of a transformers tokenizer (the fast kind, which knows character offsets)."""

    model_max_length: int

    def __call__(self, text: str, *, return_offsets_mapping: bool) -> dict: ...


@dataclass(frozen=True)
class WordTokens:
    """A word of a prompt as a user would name it, and the positions of its tokens."""

    word: str
    occurrence: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class TokenizedPrompt:
    """A prompt as the text encoder reads it, before padding.

    Attributes:
        prompt: the text.
        ids: token ids, start and end included.
        spans: per token the characters it came from, half open; (0, 0) for start and end.
        limit: tokens the text encoder reads; positions from len(ids) on are padding.
    """

    prompt: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    limit: int

    def __len__(self) -> int:
        return len(self.ids)

    def owned(self) -> tuple[tuple[int, ...], ...]:
        """Per word of the prompt, the positions of its tokens, its punctuation's included."""
        return tuple(self._between(*word.whole) for word in words_of(self.prompt))

    def words(self) -> tuple[WordTokens, ...]:
        """The prompt's words in order, each with the occurrence and the tokens that name it."""
        seen: Counter[str] = Counter()
        result = []
        for word in words_of(self.prompt):
            name = word.text.casefold()
            seen[name] += 1
            result.append(WordTokens(word.text, seen[name], self._between(word.start, word.stop)))
        return tuple(result)

    def named(self, name: str, occurrence: int | None = None) -> tuple[int, ...]:
        """The positions of a name's tokens, without the punctuation around it; empty where it is not there."""
        words = words_of(self.prompt)
        found = {index for indices in find(self.prompt, name, occurrence) for index in indices}
        return tuple(p for index in sorted(found) for p in self._between(words[index].start, words[index].stop))

    def _between(self, start: int, stop: int) -> tuple[int, ...]:
        # Overlap, not containment: the bytes of one character may be several tokens with the same span.
        return tuple(p for p, (left, right) in enumerate(self.spans) if left < stop and start < right)


def tokenize(prompt: str, tokenizer: PromptTokenizer) -> TokenizedPrompt:
    """Tokenizes a prompt, never truncating it.

    Raises:
        PromptTooLong: the text encoder does not read that many tokens.
    """
    encoded = tokenizer(prompt, return_offsets_mapping=True)
    ids, limit = encoded["input_ids"], tokenizer.model_max_length
    if len(ids) > limit:
        raise PromptTooLong(prompt, len(ids), limit)
    return TokenizedPrompt(prompt, tuple(ids), tuple(map(tuple, encoded["offset_mapping"])), limit)


def tokenize_all(prompts: Sequence[str], tokenizer: PromptTokenizer) -> tuple[TokenizedPrompt, ...]:
    return tuple(tokenize(prompt, tokenizer) for prompt in prompts)
