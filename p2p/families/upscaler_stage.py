"""A last stage for pixels: Stable Diffusion's upscaler, which reads the prompt with a text encoder of its own.

It removes noise from latents as large as the picture that it is given, and an autoencoder makes four pixels a side of
each. So it sees 256 pixels and makes 1024.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from diffusers import StableDiffusionUpscalePipeline
from torch import Tensor

from p2p.families.base import DrawnFrom
from p2p.families.conditioning import Conditioning
from p2p.families.described import described
from p2p.families.encoded import Encoded
from p2p.families.packed import pack
from p2p.families.text_ids import padded_ids, under_one_prompt
from p2p.finite import finite_or_again
from p2p.layouts.base import require
from p2p.layouts.upscaler import UPSCALER
from p2p.samplers.predictions import of_state
from p2p.tokens import chunks_needed

#: As the pipeline has it by default, with which IFPipeline's own example calls it: steps, guidance, and the noise that
#: the picture is given (of 1000).
STEPS, GUIDANCE, NOISE_LEVEL = 75, 9.0, 20


class _Seen(NamedTuple):
    picture: Tensor
    conditioning: Conditioning


class UpscalerStage:
    """A `Stage` of `p2p.families.super_resolution`.

    Args:
        pipeline: whose parts are used.
    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.upscaler`).
    """

    def __init__(self, pipeline: StableDiffusionUpscalePipeline, steps: int = STEPS) -> None:
        parts = described(pipeline)
        require("the upscaler", UPSCALER, parts)
        self.network, self.vae, self.text_encoder = pipeline.unet, pipeline.vae, pipeline.text_encoder
        self.networks = (self.network, self.vae, self.text_encoder)
        for network in self.networks:
            network.requires_grad_(False)
        self.scheduler, self._noising = pipeline.scheduler, pipeline.low_res_scheduler
        self.factor, self.steps = UPSCALER.cell(parts), steps
        self.tokenizer = pipeline.tokenizer
        limit = UPSCALER.tokens(parts) or self.tokenizer.model_max_length
        self.tokenizer.model_max_length = min(self.tokenizer.model_max_length, limit)

    @classmethod
    def load(cls, path: str, small: int, *, variant: str | None, device: str, dtype: torch.dtype) -> "UpscalerStage":
        """The stage of a diffusers directory; safetensors only, never a pickle."""
        pipeline = StableDiffusionUpscalePipeline.from_pretrained(
            path, variant=variant, use_safetensors=True, dtype=dtype, **dict.fromkeys(UPSCALER.unused)
        )
        pipeline.to(device)
        pack(pipeline.unet)
        pack(pipeline.vae.decoder)
        return cls(pipeline)

    def noise_shape(self, small: Tensor) -> tuple[int, int, int]:
        return self.vae.config.latent_channels, small.shape[-2], small.shape[-1]

    def begun(self, small: Tensor, streams: Sequence[torch.Generator], rows: Sequence[DrawnFrom]) -> _Seen:
        noise = torch.cat([torch.randn((1, *small.shape[1:]), generator=stream) for stream in streams]).to(small)
        level = torch.full((len(small),), NOISE_LEVEL, device=small.device)
        guided = [place for place, row in enumerate(rows) if row.unconditional is not None]
        prompts = [*(rows[place].negative_prompt for place in guided), *(row.prompt for row in rows)]
        texts = [*zip(prompts, self._encoded(prompts).to(small).rows(), strict=True)]
        conditioning = Conditioning.of(texts, [GUIDANCE] * len(rows), guided)
        return _Seen(self._noising.add_noise(small, noise, timesteps=level), conditioning)

    def predicted(self, state: Tensor, seen: _Seen, timestep: Tensor, index: int) -> Tensor:
        batch = seen.conditioning.batch(torch.cat([state, seen.picture], 1))
        level = torch.full((len(batch),), NOISE_LEVEL, device=batch.device)
        texts = seen.conditioning.texts.context
        output = self.network(batch, timestep, texts, class_labels=level, return_dict=False)[0]
        return seen.conditioning.combine(of_state(output, state))

    def pixels(self, state: Tensor) -> Tensor:
        def drawn(rows: Tensor) -> Tensor:
            scaled = rows.to(self.vae.dtype) / self.vae.config.scaling_factor
            return self.vae.decode(scaled, return_dict=False)[0]

        return finite_or_again(drawn, state, self.vae, "the pixels")

    def _encoded(self, prompts: Sequence[str]) -> Encoded:
        """A row for each. What is longer than the text encoder reads is read in chunks; the pipeline would cut it."""
        chunks = chunks_needed(prompts, [self.tokenizer], "chunks")
        ids = padded_ids(self.tokenizer, prompts, chunks).to(self.text_encoder.device)
        return Encoded(under_one_prompt(self.text_encoder(ids)[0], chunks))
