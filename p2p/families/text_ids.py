"""Prompts as the token ids that CLIP's text encoder reads: padded, a row for each chunk of each prompt."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from p2p.chunks import chunks_for, in_chunks
from p2p.errors import PromptTooLong


def padded_ids(tokenizer: Any, prompts: Sequence[str], chunks: int = 1) -> Tensor:
    """(prompts * chunks, tokens of a chunk), the chunks of a prompt under each other.

    Of one chunk a prompt that is too long gives more tokens than the encoder reads: nothing is cut.

    Raises:
        PromptTooLong: several chunks do not hold a prompt, which this tokenizer counts otherwise than the first one.
    """
    if chunks == 1:
        return tokenizer(list(prompts), padding="max_length", return_tensors="pt").input_ids
    limit, pad = tokenizer.model_max_length, tokenizer.pad_token_id
    rows = []
    for prompt in prompts:
        ids = tokenizer(prompt).input_ids
        if chunks_for([len(ids)], limit) > chunks:
            raise PromptTooLong(prompt, len(ids), chunks * (limit - 2) + 2)
        rows += [[*chunk, *[pad] * (limit - len(chunk))] for chunk in in_chunks(ids, limit, chunks)]
    return torch.tensor(rows)


def under_one_prompt(states: Tensor, chunks: int) -> Tensor:
    """The states of each prompt's chunks, (prompts * chunks, tokens, channels), in one row of all its tokens."""
    return states.unflatten(0, (-1, chunks)).flatten(1, 2)
