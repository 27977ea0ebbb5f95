"""Prompts beyond what a text encoder reads, in chunks: as users of Stable Diffusion know it from Automatic1111's page.

A text encoder reads a start token, some tokens of the prompt and an end token. Of a longer prompt it reads one such
chunk after the other, each by itself, and the layers attend to all of them. Every prompt of a run has as many chunks as
the longest one; those that a prompt has no words for are empty. No torch needed.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

LongPrompts = Literal["refuse", "chunks"]
#: Each chunk costs as much in every layer's attention as a prompt; 8 are 600 tokens of CLIP, a page of text.
MAX_CHUNKS = 8
#: The start and the end token of each chunk.
_AROUND = 2

Span = tuple[int, int]
Token = TypeVar("Token")


def most_tokens(limit: int, long_prompts: LongPrompts) -> int:
    """How many tokens a prompt may have, start and end included.

    Args:
        limit: of one chunk.
    """
    return limit if long_prompts == "refuse" else (limit - _AROUND) * MAX_CHUNKS + _AROUND


def chunks_for(counts: Iterable[int], limit: int) -> int:
    """The chunks that prompts of so many tokens need, start and end included."""
    return max(1, *(-(-(count - _AROUND) // (limit - _AROUND)) for count in counts))


def in_chunks(ids: Sequence[Token], limit: int, chunks: int) -> list[list[Token]]:
    """The tokens of each chunk, each with the start and the end token, without padding."""
    start, *content, end = ids
    size = limit - _AROUND
    return [[start, *content[size * chunk : size * (chunk + 1)], end] for chunk in range(chunks)]


def laid_out(
    ids: Sequence[int], spans: Sequence[Span], limit: int, chunks: int
) -> tuple[tuple[int, ...], tuple[Span, ...]]:
    """Tokens and their characters at the positions that they have among all chunks, up to the last word's end token."""
    said = chunks_for([len(ids)], limit)
    together = in_chunks(list(zip(ids, spans, strict=True)), limit, said)
    flat = [token for chunk in together for token in chunk]
    return tuple(token for token, _ in flat), tuple(span for _, span in flat)
