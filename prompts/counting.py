"""Which tokens a prompt becomes, and how many, counted as the model will count them, without the model.

The `tokenizers` package alone gives the number that the worker's text encoder will see (`prompts.tokenization`): a
prompt that is too long is refused at the door.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from tokenizers import Tokenizer

from jobs.catalogue import ModelDeclaration
from jobs.errors import InvalidCatalogue
from p2p.chunks import LongPrompts, most_tokens
from p2p.layouts import LAYOUTS
from p2p.segments import Segment, SegmentedTokenizer, Tokens
from p2p.tokens import TokenizedPrompt
from prompts.tokenization.opened import OpenedTokenizer, open_tokenizer, own_limit, tokenizer_of

#: What a counter says of a tokenizer whose files name no limit, and that nobody asks for one.
_UNSAID = 0


class TokenCounter:
    """Counts the tokens of one model's prompts, start and end included.

    Args:
        source: the tokenizer, or where it is.
        limit: how many tokens a prompt may have; what the tokenizer's files say where absent.
        reads_chunks: whether the model reads a long prompt in chunks.
    """

    def __init__(self, source: Path | OpenedTokenizer, limit: int | None = None, *, reads_chunks: bool = True) -> None:
        self._reads_chunks = reads_chunks
        opened = open_tokenizer(source) if isinstance(source, Path) else source
        self._tokenizer, self._learned = opened.tokenizer, opened.learned
        self._further = tuple(map(TokenCounter, opened.further))
        self._segmented = _segmented(opened.segments)
        #: Tokens that a prompt may have.
        self.limit = limit or opened.limit or _UNSAID
        # The file may say to cut and to fill up to the model's length; then every prompt would count as just that.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._around = self.count("")
        #: Tokens of a single ASCII character at most: a tokenizer joins what stands together, it splits no character.
        each = max(self.count(chr(code)) for code in range(128)) - self._around
        self._each = max(each, self._learned.tokens_per_character)

    def most(self, long_prompts: LongPrompts) -> int:
        """How many tokens a prompt may have, start and end included, if long ones are treated so."""
        return most_tokens(self.limit, long_prompts if self._reads_chunks else "refuse")

    def may_exceed(self, prompt: str, limit: int) -> bool:
        """Whether a prompt may take more tokens than that: most are so short that nobody has to count."""
        if not prompt.isascii() or self._around + self._each * len(prompt) > limit:
            return True
        return any(each.may_exceed(prompt, limit) for each in self._further)

    def count(self, prompt: str) -> int:
        """Tokens of a prompt as the text encoder reads it; of several, as the one reads it that finds the most."""
        if self._segmented is not None:
            return len(self._segmented(prompt, return_offsets_mapping=False)["input_ids"])
        ids = self._tokenizer.encode(prompt).ids
        own = len(self._learned.expanded(ids)) if self._learned else len(ids)
        return max(own, *(each.count(prompt) for each in self._further)) if self._further else own

    def tokenized(self, prompt: str, limit: int) -> TokenizedPrompt:
        """A prompt of at most `limit` tokens as the text encoder reads it."""
        if self._segmented is not None:
            return cast(TokenizedPrompt, self._segmented.tokenized(prompt))
        encoding = self._tokenizer.encode(prompt)
        ids, spans = encoding.ids, encoding.offsets
        if self._learned:
            ids, spans = self._learned.expanded(ids), self._learned.spans(prompt, ids, spans)
        return TokenizedPrompt(prompt, tuple(ids), tuple(spans), limit)


def _segmented(segments: Sequence[tuple[Segment, Tokenizer]]) -> SegmentedTokenizer | None:
    """What lays out a prompt that has segments; None if it has none."""

    def reader(tokenizer: Tokenizer) -> Tokens:
        def read(text: str) -> tuple[Sequence[int], Sequence[tuple[int, int]]]:
            encoding = tokenizer.encode(text)
            return encoding.ids, encoding.offsets

        return read

    readers = [reader(tokenizer) for _, tokenizer in segments]
    return SegmentedTokenizer([segment for segment, _ in segments], readers) if segments else None


def token_counters(catalogue: Mapping[str, ModelDeclaration]) -> dict[str, TokenCounter]:
    """A counter per model.

    Raises:
        InvalidCatalogue: a model has no tokenizer, or it is not known how many tokens it reads.
    """
    counters = {}
    for model in catalogue.values():
        try:
            counters[model.id] = counter_of(model)
        except InvalidCatalogue as error:
            raise InvalidCatalogue(f"model {model.id}: {error}") from error
    return counters


def counter_of(model: ModelDeclaration) -> TokenCounter:
    """A declared model's counter; raises `InvalidCatalogue`."""
    opened = tokenizer_of(model)
    own = own_limit(model, opened)
    if own is None and model.max_tokens is None:
        raise InvalidCatalogue("no file of its tokenizer says how many tokens it reads: set `max_tokens` (77 for CLIP)")
    if own is not None and model.max_tokens is not None and model.max_tokens > own:
        raise InvalidCatalogue(
            f"max_tokens is {model.max_tokens} and the model reads {own}: set it to {own}, or leave it out"
        )
    layout = LAYOUTS.get(model.family)
    return TokenCounter(opened, model.max_tokens or own, reads_chunks=layout is None or layout.reads_chunks)
