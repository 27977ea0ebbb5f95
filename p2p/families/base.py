"""What a model family provides, so that the loop and the control know nothing of any model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from p2p.attention.control import AttentionControl
from p2p.attention.sites import AttentionSite, Levels
from p2p.tokens import PromptTokenizer


@dataclass(frozen=True)
class Conditioning:
    """Encoded prompts.

    Attributes:
        text: (pictures, tokens, channels), one row a picture.
        unconditional: (1, tokens, channels) of the negative prompt, or None where there is no guidance.
    """

    text: Tensor
    unconditional: Tensor | None


class ModelFamily(Protocol):
    """A loaded model of one attention layout."""

    @property
    def revision(self) -> str: ...

    @property
    def tokenizer(self) -> PromptTokenizer: ...

    @property
    def levels(self) -> Levels: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def attention_sites(self) -> Sequence[AttentionSite]: ...

    def attention_processors(self, control: AttentionControl) -> Mapping[str, Any]: ...

    @property
    def network(self) -> Any:
        """The module whose `attn_processors` are replaced during a run."""
        ...

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        """Channels, height and width of the latents of a picture; the model's own size where none is given."""
        ...

    def scheduler(self, steps: int) -> Any:
        """A fresh scheduler, its timesteps set."""
        ...

    def encode_prompts(self, prompts: Sequence[str], negative_prompt: str | None) -> Conditioning: ...

    def predict(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, guidance_scale: float) -> Tensor:
        """The model's guided output. Conditional rows come after as many unconditional ones, or alone."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures of latents, (pictures, 3, height, width) in 0..1, float32."""
        ...


def to_images(pixels: Tensor, *, truncate: bool = False) -> tuple[Image.Image, ...]:
    """Pixels in 0..1 as pictures, to the nearest of 256 levels; the published code truncates instead."""
    levels = pixels.float().cpu().permute(0, 2, 3, 1) * 255
    levels = levels if truncate else levels.round()
    return tuple(Image.fromarray(picture.numpy()) for picture in levels.to(torch.uint8))
