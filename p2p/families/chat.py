"""Chat templates around prompts, and texts of as many tokens as each prompt has."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from p2p.errors import UnsupportedModel
from p2p.families.encoded import Encoded

#: By which name `Encoded.beside` has the number of a text's tokens, (rows,) int64: the rest of its context is zero.
LENGTH = "length"


def require_template(tokenizer: Any, prefix: str, suffix: str, *, thinking: bool) -> None:
    """Compares a tokenizer's own chat template with what a layout says around a prompt.

    Args:
        thinking: whether the pipeline asks for an answer with thinking.
    Raises:
        UnsupportedModel: they differ, so words would be looked for at other places than the model reads them at.
    """
    messages = [{"role": "user", "content": "a cat"}]
    how = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": thinking}
    said = tokenizer.apply_chat_template(messages, **how)
    if said != f"{prefix}a cat{suffix}":
        raise UnsupportedModel(f"tokenizer has another chat template than Qwen3's: it makes {said!r} of 'a cat'")


def of_lengths(states: Tensor, mask: Tensor, limit: int, dropped: int = 0) -> Encoded:
    """Texts, each with its own tokens in front and zeros behind.

    Args:
        states: (rows, tokens, channels).
        mask: (rows, tokens), which of them are no padding.
        limit: positions that each text gets.
        dropped: tokens at the beginning that are left out.
    """
    own = [row[kept][dropped:] for row, kept in zip(states, mask.bool(), strict=True)]
    context = torch.stack([pad(row, (0, 0, 0, limit - len(row))) for row in own])
    return Encoded(context, {LENGTH: torch.tensor([len(row) for row in own], device=states.device)})


def lengths_of(texts: Encoded) -> Sequence[int]:
    """The number of each text's tokens."""
    return texts.beside[LENGTH].tolist()
