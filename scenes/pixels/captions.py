"""Captions as the UNet is trained on them: each word speaks for itself, and what is pooled for another caption."""

import torch
from transformers import T5EncoderModel, T5Tokenizer

from scenes.words_apart import WordsApart


class CaptionsApart(WordsApart):
    """`WordsApart` of a T5 encoder: a token that starts a word has a mark in front, and padding is hidden from it.

    Attributes:
        padding, empty: the id of the padding, and the ids of the empty caption, (tokens,).
    """

    def __init__(self, text_encoder: T5EncoderModel, tokenizer: T5Tokenizer, device: torch.device) -> None:
        self.text_encoder, self.end, self.padding = text_encoder, tokenizer.eos_token_id, tokenizer.pad_token_id
        pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self.starts_word = torch.tensor([piece.startswith("▁") for piece in pieces], device=device)
        self.special = torch.zeros(len(tokenizer), dtype=torch.bool, device=device)
        self.special[[self.padding, self.end]] = True
        self.empty = torch.tensor(tokenizer("", padding="max_length").input_ids, device=device)

    def encoded(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.text_encoder(tokens, attention_mask=(tokens != self.padding).long()).last_hidden_state

    def ends(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.special[tokens]

    def word_of(self, tokens: torch.Tensor) -> torch.Tensor:
        # The end is one of its own, for it is never drawn.
        return self.starts_word[tokens].long().cumsum(1)

    def others(self, tokens: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(batch,) whose text each caption is pooled from: others' for captions, and the empty caption's own.

        The pooled text reaches every layer, and no edit of attention reaches it. A UNet that could read the caption
        there would not look at the words.
        """
        own = torch.arange(len(tokens), device=tokens.device)
        drawn = torch.randperm(len(tokens), generator=generator).to(tokens.device)
        return torch.where((~self.special[tokens]).any(1), drawn, own)


class PooledFrom:
    """A hook of a UNet's `add_embedding`: has each row's text pooled from the row that `rows` says, (batch,)."""

    def __init__(self) -> None:
        self.rows: torch.Tensor | None = None

    def __call__(self, module: torch.nn.Module, arguments: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        (states,) = arguments
        return (states if self.rows is None else states[self.rows],)
