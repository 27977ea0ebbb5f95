"""Prompts that several text encoders read one behind the other: segments of one text, each with tokens of its own.

A model of joint attention sees the tokens of CLIP and then those of T5, and a word has some of both. A word is never
carried over from one segment to another. No torch needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from p2p.errors import PromptTooLong
from p2p.tokens import PromptTokenizer, TokenizedPrompt, WordTokens
from p2p.words import WrittenPrompt


@dataclass(frozen=True)
class Segment:
    """One text encoder's part of the text.

    Attributes:
        tokenizer: its part of the model.
        limit: positions that it has at most; tokens and padding. Fewer where the tokenizer's files say so.
        head: tokens in front of the prompt's own: 1 of CLIP, none of T5.
        cuts: whether it leaves out what goes beyond its limit. Of several segments, the others still read it.
        prefix, suffix: what a template says before and after the prompt. Their tokens are positions of no word.
        dropped: tokens at the beginning, of the prefix, that are encoded and then left out: they have no position.
    """

    tokenizer: str
    limit: int
    head: int = 1
    cuts: bool = False
    prefix: str = ""
    suffix: str = ""
    dropped: int = 0

    def at_most(self, limit: int | None) -> "Segment":
        """The same with no more positions than the tokenizer's files say; None if they do not."""
        return self if limit is None else replace(self, limit=min(self.limit, limit))


def longest(segments: Sequence[Segment]) -> Segment:
    """The one by whose tokens prompts are counted and refused: of those that cut nothing, the one that reads most."""
    return max(segments, key=lambda segment: (not segment.cuts, segment.limit))


class Tokens(Protocol):
    """What reads one segment: ids of a text, and the characters that each is of."""

    def __call__(self, text: str) -> tuple[Sequence[int], Sequence[tuple[int, int]]]: ...


class SegmentedTokenizer:
    """What a family gives as its tokenizer where a prompt has segments.

    Args:
        readers: of each segment.
    """

    def __init__(self, segments: Sequence[Segment], readers: Sequence[Tokens]) -> None:
        self.segments, self._readers = tuple(segments), tuple(readers)
        #: Tokens that a prompt may have.
        self.model_max_length = longest(self.segments).limit

    def __call__(self, text: str, *, return_offsets_mapping: bool) -> dict:
        """The tokens of the longest segment, by which prompts are counted."""
        segment = longest(self.segments)
        ids, spans = self._readers[self.segments.index(segment)](f"{segment.prefix}{text}{segment.suffix}")
        kept = slice(segment.dropped, None)
        return {"input_ids": list(ids[kept]), "offset_mapping": list(spans[kept])}

    def limited(self, limits: Sequence[int]) -> "SegmentedTokenizer":
        """The same with other limits."""
        pairs = zip(self.segments, limits, strict=True)
        return SegmentedTokenizer([replace(segment, limit=limit) for segment, limit in pairs], self._readers)

    def tokenized(self, prompt: str, chunks: int = 1) -> "SegmentedPrompt":
        """A prompt in all its segments.

        Raises:
            PromptTooLong: a segment that cuts nothing does not hold it, or it is asked for in chunks.
        """
        return SegmentedPrompt(tuple(_read(prompt, *each) for each in zip(self.segments, self._readers, strict=True)))


def reader_of(tokenizer: PromptTokenizer) -> Tokens:
    """A transformers tokenizer as what reads a segment."""

    def read(text: str) -> tuple[Sequence[int], Sequence[tuple[int, int]]]:
        found = tokenizer(text, return_offsets_mapping=True)
        return found["input_ids"], [tuple(span) for span in found["offset_mapping"]]

    return read


def _read(prompt: str, segment: Segment, read: Tokens) -> TokenizedPrompt:
    ids, spans = read(f"{segment.prefix}{prompt}{segment.suffix}")
    head, tail, read_to = segment.head, 1, None
    if segment.prefix:
        first, last = len(segment.prefix), len(segment.prefix) + len(prompt)
        head, tail = sum(right <= first for _, right in spans), sum(left >= last for left, _ in spans)
        own = range(head, len(ids) - tail)
        spans = [(left - first, right - first) if at in own else (0, 0) for at, (left, right) in enumerate(spans)]
        ids, spans, head = ids[segment.dropped :], spans[segment.dropped :], max(0, head - segment.dropped)
    if len(ids) > segment.limit:
        if not segment.cuts:
            raise PromptTooLong(prompt, len(ids), segment.limit)
        # As transformers cuts: the end token stays.
        ids, spans = [*ids[: segment.limit - 1], ids[-1]], [*spans[: segment.limit - 1], spans[-1]]
        read_to = max((right for _, right in spans), default=0)
    places = tuple(ids), tuple(spans), segment.limit
    return TokenizedPrompt(prompt, *places, head=head, tail=tail, read_to=read_to)


@dataclass(frozen=True)
class SegmentedPrompt:
    """A `TokenizedPrompt` of several segments: a position counts from the first segment's start.

    Attributes:
        segments: each with positions of its own.
    """

    segments: tuple[TokenizedPrompt, ...]
    chunks = 1

    @property
    def prompt(self) -> str:
        return self.segments[0].prompt

    @property
    def limit(self) -> int:
        return sum(segment.limit for segment in self.segments)

    @property
    def ids(self) -> tuple[int, ...]:
        """Token ids at their positions; -1 where a segment has padding."""
        return tuple(token for each in self.segments for token in (*each.ids, *[-1] * (each.limit - len(each.ids))))

    def __len__(self) -> int:
        """Tokens of the segment that reads the most, padding left out."""
        return max(len(segment) for segment in self.segments)

    @property
    def starts(self) -> list[int]:
        return [place + start for place, segment in self._placed() for start in segment.starts]

    @property
    def written(self) -> WrittenPrompt:
        return self.segments[0].written

    @property
    def content(self) -> Sequence[int]:
        return [place + position for place, segment in self._placed() for position in segment.content]

    def tails(self) -> list[range]:
        return [
            range(place + tail.start, place + tail.stop)
            for place, segment in self._placed()
            for tail in segment.tails()
        ]

    def owned(self) -> tuple[tuple[int, ...], ...]:
        each = [[_moved(place, tokens) for tokens in segment.owned()] for place, segment in self._placed()]
        return tuple(tuple(token for tokens in word for token in tokens) for word in zip(*each, strict=True))

    def words(self) -> tuple[WordTokens, ...]:
        each = [[_moved(place, word.tokens) for word in segment.words()] for place, segment in self._placed()]
        together = [tuple(token for tokens in word for token in tokens) for word in zip(*each, strict=True)]
        pairs = zip(self.segments[0].words(), together, strict=True)
        return tuple(replace(word, tokens=tokens) for word, tokens in pairs)

    def named(self, name: str, occurrence: int | None = None) -> tuple[int, ...]:
        """The positions of a name's tokens in every segment that reads it.

        Raises:
            WordWithinToken: in one of them no token begins or ends where the name does.
        """
        found = [_moved(place, segment.named(name, occurrence)) for place, segment in self._placed()]
        return tuple(token for tokens in found for token in tokens)

    def _placed(self) -> list[tuple[int, TokenizedPrompt]]:
        places = [sum(segment.limit for segment in self.segments[:index]) for index in range(len(self.segments))]
        return list(zip(places, self.segments, strict=True))


def _moved(place: int, tokens: Sequence[int]) -> tuple[int, ...]:
    return tuple(place + token for token in tokens)
