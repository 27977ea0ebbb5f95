"""Captions' embeddings in which each word speaks for itself.

The text encoder is causal: a word knows all words before it, and the end and its padding know the whole caption. A
painter that may read the caption there does: nine tenths of its attention lay on the padding, then on the last word.
The words themselves decided nothing, and neither did edits of their maps. Here whatever a token knows of other words
is wrong as often as not, so that a picture has to come from each word's own tokens.
"""

import torch
from transformers import CLIPTextModel, CLIPTokenizer


class WordsApart:
    """Embeddings for training, from a text encoder that stays an ordinary one."""

    def __init__(self, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, device: torch.device) -> None:
        self.text_encoder, self.end = text_encoder, tokenizer.eos_token_id
        tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        self.ends_word = torch.tensor([token.endswith("</w>") for token in tokens], device=device)
        self.special = torch.zeros(len(tokenizer), dtype=torch.bool, device=device)
        self.special[[tokenizer.bos_token_id, tokenizer.eos_token_id]] = True

    def __call__(self, tokens: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(batch, tokens, width) of (batch, tokens) ids.

        A caption's words are drawn into two halves, and each half is encoded with the other's replaced by any words of
        the batch. The ends are another caption's; the empty caption keeps its own, which are all it has.
        """
        batch, length = tokens.shape
        first_half = self._drawn(tokens, torch.rand(batch, length, generator=generator).to(tokens.device))
        spoken = ~self.special[tokens]
        words = tokens[spoken] if spoken.any() else tokens.flatten()
        others = words[torch.randint(0, len(words), tokens.shape, generator=generator).to(tokens.device)]
        first, second = (self.encoded(torch.where(half & spoken, others, tokens)) for half in (~first_half, first_half))
        embeddings = torch.where(first_half[..., None], first, second)
        whose = torch.randperm(batch, generator=generator).to(tokens.device)
        whose = torch.where(spoken.any(1), whose, torch.arange(batch, device=tokens.device))
        return with_ends_of(embeddings, self.ends(tokens), whose)

    def encoded(self, tokens: torch.Tensor) -> torch.Tensor:
        """What the painter reads of the text encoder, (batch, tokens, width)."""
        return self.text_encoder(tokens).last_hidden_state

    def ends(self, tokens: torch.Tensor) -> torch.Tensor:
        """Which tokens are a caption's end, or the padding after it; bool."""
        return tokens == self.end

    def word_of(self, tokens: torch.Tensor) -> torch.Tensor:
        """The number of the word that each token is of."""
        ended = self.ends_word[tokens].long()
        return ended.cumsum(1) - ended

    def _drawn(self, tokens: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Which tokens are of the first half: all of a word's or none."""
        return torch.gather(draws, 1, self.word_of(tokens)) < 0.5


def with_ends_of(embeddings: torch.Tensor, ends: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    """Embeddings whose ends are other captions'.

    Args:
        embeddings: (batch, tokens, width).
        ends: (batch, tokens) bool, the end and the padding after it.
        of: (batch,) whose ends each caption takes.
    """
    # Never another caption's word: a shorter one has ends wherever this one has, a longer one gives its first end.
    first = (~ends).sum(1)[of][:, None]
    position = torch.arange(ends.shape[1], device=ends.device)[None].maximum(first)
    foreign = torch.gather(embeddings[of], 1, position[..., None].expand_as(embeddings))
    return torch.where(ends[..., None], foreign, embeddings)
