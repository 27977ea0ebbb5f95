"""How a caption is read: as SD3 does, by two CLIPs side by side and by a T5 behind them.

CLIP's tokenizer is that of `scenes`. T5's knows each word of the world whole. Both have places for `MAX_LENGTH` tokens,
so that a prompt's row has twice as many.
"""

import string
from pathlib import Path

import torch
from transformers import BatchEncoding, CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5Tokenizer

from scenes.tokenizer import MAX_LENGTH
from scenes.tokens.transformer import CaptionsApart
from scenes.vocabulary import words

#: What T5 spells other words with, a token a letter.
LETTERS = string.ascii_letters + string.digits + ".,-'!?"


def t5_tokenizer(folder: Path) -> T5Tokenizer:
    """The tokenizer in `folder/tokenizer_3`, made there first where it is missing."""
    path = folder / "tokenizer_3"
    if not path.exists():
        pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((f"▁{word}", -1.0) for word in words())]
        pieces += [("▁", -3.0), *((letter, -4.0) for letter in LETTERS)]
        T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=MAX_LENGTH).save_pretrained(path)
    return T5Tokenizer.from_pretrained(path)


class BothTokenizers:
    """CLIP's and T5's as one, for `scenes.dataset`: the ids and spans of one behind those of the other."""

    def __init__(self, clip: CLIPTokenizer, t5: T5Tokenizer) -> None:
        self.clip, self.t5 = clip, t5

    def __call__(self, caption: str, **how: object) -> BatchEncoding:
        clip, t5 = (tokenizer(caption, **how) for tokenizer in (self.clip, self.t5))
        return BatchEncoding({name: [*clip[name], *t5[name]] for name in ("input_ids", "offset_mapping")})

    def empty(self) -> torch.Tensor:
        """The ids of the empty caption."""
        return torch.tensor(self("", padding="max_length", return_offsets_mapping=True).input_ids)


class Reading:
    """What the network gets of ids, (batch, 2 * MAX_LENGTH): context (batch, 2 * MAX_LENGTH, width), and pooled.

    In training, each word speaks for itself (`scenes.words_apart`). T5 needs nothing for that: it has no layer in
    which a word could learn of another one.
    """

    def __init__(
        self, encoders: tuple[CLIPTextModelWithProjection, CLIPTextModelWithProjection], t5: T5EncoderModel,
        tokenizer: CLIPTokenizer, device: torch.device,
    ) -> None:  # fmt: skip
        self._clips = [CaptionsApart(encoder, tokenizer, device) for encoder in encoders]
        self._t5 = t5

    def apart(self, ids: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        clip, t5 = ids.split(MAX_LENGTH, 1)
        states = [each(clip, generator) for each in self._clips]
        pooled = [each.pooled(clip, generator) for each in self._clips]
        return self._joined(states, t5), torch.cat(pooled, -1)

    def whole(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As the pipeline reads them."""
        clip, t5 = ids.split(MAX_LENGTH, 1)
        said = [each.text_encoder(clip, output_hidden_states=True) for each in self._clips]
        pooled = torch.cat([each.text_embeds for each in said], -1)
        return self._joined([each.hidden_states[-2] for each in said], t5), pooled

    def _joined(self, states: list[torch.Tensor], t5: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.cat(states, -1), self._t5(t5).last_hidden_state], 1)
