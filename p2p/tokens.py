"""Which tokens a word owns: character offsets in, token positions out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from p2p.errors import PromptTooLong, WordWithinToken
from p2p.words import Span, WrittenPrompt, written


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

    @property
    def written(self) -> WrittenPrompt:
        """The prompt as names are looked for in it."""
        return written(self.prompt)

    def owned(self) -> tuple[tuple[int, ...], ...]:
        """Per word of the prompt, the positions of its tokens, its punctuation's included."""
        return tuple(self._between(*word.whole) for word in self.written.words)

    def words(self) -> tuple[WordTokens, ...]:
        """The prompt's words in order, each with the occurrence and the tokens that name it."""
        occurrences: dict[str, list[Span]] = {}
        result = []
        for word in self.written.words:
            if word.text not in occurrences:
                occurrences[word.text] = [spans[0] for spans in self.written.find(word.text)]
            occurrence = occurrences[word.text].index((word.start, word.stop)) + 1
            result.append(WordTokens(word.text, occurrence, self._between(word.start, word.stop)))
        return tuple(result)

    def named(self, name: str, occurrence: int | None = None) -> tuple[int, ...]:
        """The positions of a name's tokens, without the punctuation around it; empty where it is not there.

        Raises:
            WordWithinToken: no token begins or ends where the name does.
        """
        found = [span for spans in self.written.find(name, occurrence) for span in spans]
        for span in found:
            if not self._is_cut_at(*span):
                raise WordWithinToken(name, self._around(*span))
        return tuple(sorted({position for span in found for position in self._between(*span)}))

    def _is_cut_at(self, start: int, stop: int) -> bool:
        """Whether tokens begin at `start` and end at `stop`: some lie between, and none reaches over either."""
        near = [self._without_space(position) for position in self._between(start, stop)]
        return bool(near) and all(start <= left and right <= stop for left, right in near)

    def _without_space(self, position: int) -> Span:
        # SentencePiece counts the space before a word as the token's first character.
        left, right = self.spans[position]
        text = self.prompt[left:right]
        return right - len(text.lstrip()), left + len(text.rstrip())

    def _around(self, start: int, stop: int) -> tuple[str, ...]:
        """What the tokens stand for into which the written word at these characters is cut."""
        inside = [word for word in self.written.words if word.whole[0] < stop and start < word.whole[1]]
        spans = [self._without_space(position) for word in inside for position in self._between(*word.whole)]
        return tuple(self.prompt[left:right] for left, right in dict.fromkeys(spans))

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
