"""SD 1.x and everything of its layout: one CLIP text encoder, a UNet with separate self- and cross-attention."""

from collections.abc import Sequence

import torch
from diffusers import StableDiffusionPipeline

from p2p.families.described import described
from p2p.families.encoded import Encoded
from p2p.families.loaded import loaded
from p2p.families.text_ids import padded_ids, under_one_prompt
from p2p.families.unet import UNetFamily
from p2p.layouts import LAYOUTS
from p2p.layouts.base import require
from p2p.layouts.model_files import ModelFiles
from p2p.spec import SchedulerName

NAME = "stable_diffusion"


class StableDiffusion(UNetFamily):
    """A `StableDiffusionPipeline`'s parts, as a `ModelFamily`.

    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.stable_diffusion`).
    """

    def __init__(self, pipeline: StableDiffusionPipeline, revision: str = "unknown") -> None:
        parts = described(pipeline)
        require(NAME, LAYOUTS[NAME], parts)
        super().__init__(pipeline, revision)
        # A tokenizer whose files say nothing would let any prompt through, to fail in the text encoder.
        limit = LAYOUTS[NAME].tokens(parts) or self.tokenizer.model_max_length
        self.tokenizer.model_max_length = min(self.tokenizer.model_max_length, limit)

    @classmethod
    def load(
        cls,
        path: str | ModelFiles,
        *,
        revision: str | None = None,
        device: str,
        dtype: torch.dtype,
        scheduler: SchedulerName | None = None,
    ) -> "StableDiffusion":
        """The model of a diffusers directory, a hub id or further files; safetensors only, never a pickle."""
        return cls(*loaded(
            NAME, StableDiffusionPipeline, path, revision=revision, device=device, dtype=dtype, scheduler=scheduler,
            requires_safety_checker=False,
        ))  # fmt: skip

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        ids = padded_ids(self.tokenizer, prompts, chunks)
        states = self.pipeline.text_encoder(ids.to(self.device))[0].to(self.dtype)
        return Encoded(under_one_prompt(states, chunks))

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        return self.encode_prompts([prompt], chunks)
