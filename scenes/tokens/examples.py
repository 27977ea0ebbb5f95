"""Drawn pictures as the tokens that the transformer is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import VQModel

from scenes.tokens import vq
from scenes.tokens.drawing import Pictures


@dataclass
class Examples:
    """Pictures as tokens, on the device they are trained on.

    Attributes:
        grids: (n, 16, 16) int16, image tokens.
        words, named, cells: as in `Pictures`.
    """

    grids: torch.Tensor
    words: torch.Tensor
    named: torch.Tensor
    cells: torch.Tensor

    def __len__(self) -> int:
        return len(self.grids)

    @classmethod
    def of(cls, pictures: Pictures, autoencoder: VQModel) -> "Examples":
        on = autoencoder.device
        return cls(
            vq.encode(autoencoder, pictures.images),
            pictures.words.to(on),
            pictures.named.to(on),
            pictures.cells.to(on),
        )

    @classmethod
    def together(cls, parts: Sequence["Examples"]) -> "Examples":
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in cls.__annotations__))

    def __getitem__(self, chosen: torch.Tensor | slice) -> "Examples":
        return Examples(
            self.grids[chosen].long(), self.words[chosen].long(), self.named[chosen].long(), self.cells[chosen]
        )
