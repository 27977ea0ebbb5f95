"""Which tokens a word owns: character offsets in, token positions out."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from p2p.chunks import LongPrompts, chunks_for, laid_out, most_tokens
from p2p.errors import PromptTooLong, WordWithinToken
from p2p.words import Span, WrittenPrompt, written


class PromptTokenizer(Protocol):
    """What is used of a transformers tokenizer (the fast kind, which knows character offsets)."""

    model_max_length: int

    def __call__(self, text: str, *, return_offsets_mapping: bool) -> dict: ...


@runtime_checkable
class ReadsSegments(Protocol):
    """A tokenizer that lays a prompt out by itself (`p2p.segments`)."""

    def tokenized(self, prompt: str, chunks: int = 1) -> Any: ...


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
        chunks: how many the text encoder reads one after the other (`p2p.chunks`), of equal length.
        head: tokens in front of the text's own: T5 has no start token.
        tail: tokens behind it: the end token, or all that a template says after the prompt.
        read_to: the character behind the last one that was read, of a prompt that was cut; None of a whole one.
    """

    prompt: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    limit: int
    chunks: int = 1
    head: int = 1
    tail: int = 1
    read_to: int | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def segments(self) -> "tuple[TokenizedPrompt, ...]":
        """Its parts between which no word corresponds (`p2p.segments`): it is one."""
        return (self,)

    @property
    def starts(self) -> range:
        """The positions in front of the text's own: a start token at the beginning of each chunk, or a template's."""
        return self._chunk_starts if self.chunks > 1 else range(self.head)

    @property
    def _chunk_starts(self) -> range:
        return range(0, self.limit, self.limit // self.chunks)

    @property
    def content(self) -> Sequence[int]:
        """The positions of the tokens that another prompt may share: all, or of several chunks those of the text."""
        if self.chunks == 1:
            return range(len(self.ids))
        ends = {tail.start for tail in self.tails()}
        return [position for position in range(len(self.ids)) if position not in self.starts and position not in ends]

    def tails(self) -> list[range]:
        """Of each chunk the positions of its end token, or of a template's end, and of the padding behind."""
        size, tails = self.limit // self.chunks, []
        for start in self._chunk_starts:
            # A chunk without words has its start token and then its end.
            end = min(start + size - 1, len(self.ids) - self.tail) if start < len(self.ids) else start + 1
            tails.append(range(end, start + size))
        return tails

    @property
    def written(self) -> WrittenPrompt:
        """The prompt as names are looked for in it."""
        return written(self.prompt)

    def owned(self) -> tuple[tuple[int, ...], ...]:
        """Per word of the prompt, the positions of its tokens, its punctuation's included."""
        return tuple(self._between(*word.whole) for word in self.written.words)

    def words(self) -> tuple[WordTokens, ...]:
        """The prompt's words in order, each with the occurrence and the tokens that name it."""
        occurrences: dict[str, dict[Span, int]] = {}
        result = []
        for word in self.written.words:
            if word.text not in occurrences:
                found = self.written.find(word.text)
                occurrences[word.text] = {spans[0]: number for number, spans in enumerate(found, 1)}
            occurrence = occurrences[word.text][word.start, word.stop]
            result.append(WordTokens(word.text, occurrence, self._between(word.start, word.stop)))
        return tuple(result)

    def named(self, name: str, occurrence: int | None = None) -> tuple[int, ...]:
        """The positions of a name's tokens, without the punctuation around it; empty where it is not there.

        Raises:
            WordWithinToken: no token begins or ends where the name does.
        """
        found = dict.fromkeys(span for spans in self.written.find(name, occurrence) for span in spans)
        if self.read_to is not None:  # what is beyond has no tokens
            found = {span: None for span in found if span[1] <= self.read_to}
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
        at, ordered = self._ordered
        if not ordered:
            return tuple(p for p, (left, right) in enumerate(self.spans) if left < stop and start < right)
        lefts, rights = ordered
        return at[bisect_right(rights, start) : bisect_left(lefts, stop)] if start < stop else ()

    @cached_property
    def _ordered(self) -> tuple[tuple[int, ...], tuple[list[int], list[int]] | None]:
        """The positions of tokens that stand for text, and where they begin and end, if they stand in order."""
        at = tuple(position for position, (left, right) in enumerate(self.spans) if left < right)
        lefts, rights = ([self.spans[position][end] for position in at] for end in (0, 1))
        return at, (lefts, rights) if lefts == sorted(lefts) and rights == sorted(rights) else None


def tokenize(prompt: str, tokenizer: PromptTokenizer, chunks: int = 1) -> TokenizedPrompt:
    """Tokenizes a prompt, never truncating it.

    Args:
        chunks: how many the text encoder reads.
    Raises:
        PromptTooLong: the text encoder does not read that many tokens.
    """
    if isinstance(tokenizer, ReadsSegments):
        return tokenizer.tokenized(prompt, chunks)
    encoded = tokenizer(prompt, return_offsets_mapping=True)
    ids, spans, limit = encoded["input_ids"], tuple(map(tuple, encoded["offset_mapping"])), tokenizer.model_max_length
    if chunks_for([len(ids)], limit) > chunks:
        raise PromptTooLong(prompt, len(ids), chunks * (limit - 2) + 2)
    if chunks == 1:
        return TokenizedPrompt(prompt, tuple(ids), spans, limit)
    return TokenizedPrompt(prompt, *laid_out(ids, spans, limit, chunks), limit * chunks, chunks)


def tokenize_all(prompts: Sequence[str], tokenizer: PromptTokenizer, chunks: int = 1) -> tuple[TokenizedPrompt, ...]:
    return tuple(tokenize(prompt, tokenizer, chunks) for prompt in prompts)


def chunks_needed(prompts: Sequence[str], tokenizers: Sequence[PromptTokenizer], long_prompts: LongPrompts) -> int:
    """How many chunks each prompt of a run has: 1 where long ones are refused.

    Args:
        tokenizers: of all text encoders. Each may count otherwise, and all read a prompt in as many chunks.
    Raises:
        PromptTooLong: one has more tokens than `MAX_CHUNKS` hold.
    """
    if long_prompts == "refuse":
        return 1
    return max(
        _chunks(prompts, tokenizer, most_tokens(tokenizer.model_max_length, long_prompts)) for tokenizer in tokenizers
    )


def _chunks(prompts: Sequence[str], tokenizer: PromptTokenizer, most: int) -> int:
    counts = []
    for prompt in dict.fromkeys(prompts):
        counts.append(len(tokenizer(prompt, return_offsets_mapping=True)["input_ids"]))
        if counts[-1] > most:
            raise PromptTooLong(prompt, counts[-1], most)
    return chunks_for(counts, tokenizer.model_max_length)
