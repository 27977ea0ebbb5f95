"""SD 1.x and everything of its layout: one CLIP text encoder, a UNet with separate self- and cross-attention."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from diffusers import StableDiffusionPipeline

from p2p.families.encoded import Encoded
from p2p.families.text_ids import padded_ids, under_one_prompt
from p2p.families.unet import UNetFamily


class StableDiffusion(UNetFamily):
    """A `StableDiffusionPipeline`'s parts, as a `ModelFamily`.

    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.stable_diffusion`).
    """

    name = "stable_diffusion"
    kind = StableDiffusionPipeline
    options: ClassVar[Mapping[str, Any]] = {"requires_safety_checker": False}

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        ids = padded_ids(self.tokenizer, prompts, chunks)
        states = self.pipeline.text_encoder(ids.to(self.device))[0].to(self.dtype)
        return Encoded(under_one_prompt(states, chunks))

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        return self.encode_prompts([prompt], chunks)
