"""FLUX.1 and everything of its layout: T5's tokens beside the pixels, CLIP's vector, guidance as an input."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from diffusers import FluxPipeline
from torch import Tensor

from p2p.attention.joint_processors import FluxAttention, JointProcessor
from p2p.attention.sites import AttentionSite, Keys
from p2p.families.encoded import Encoded
from p2p.families.flow import PATCH, FlowFamily, clip_ids, t5_ids
from p2p.samplers.flow import by_sigmas

#: The name of the prompts' single vectors, as the network's call has it: (rows, channels).
POOLED = "pooled_projections"
#: Blocks of two streams whose maps are read, of a model with as many as the published ones (19): Shin et al. 2025,
#: exploring-mmdit's `common.py`. Of other models, all blocks.
READ_BLOCKS = {19: frozenset({18, 17, 12, 14, 11})}


class Flux(FlowFamily):
    """A `FluxPipeline`'s parts, as a `ModelFamily`. Latents are not packed but inside of the network's call.

    CLIP's vector acts on all of the picture: no word of it can be controlled.

    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.flux`).
    """

    name = "flux"
    kind = FluxPipeline
    processors: ClassVar[Mapping[str, type[JointProcessor]]] = {"FluxAttnProcessor": FluxAttention}
    published_widens = False

    def named_sites(self) -> Sequence[AttentionSite]:
        read = READ_BLOCKS.get(self.network.config.num_layers)

        def is_read(name: str) -> bool:
            block, index = name.split(".")[:2]
            return read is None or (block == "transformer_blocks" and int(index) in read)

        joint = {"is_carried": True, "text_first": True}
        # diffusers names the blocks of two streams first.
        return [
            AttentionSite(name, Keys.JOINT, PATCH, is_read(name), block=block, **joint)
            for block, name in enumerate(self.attention_layers)
        ]

    def scheduler(self, steps: int, positions: int) -> Any:
        return by_sigmas(self.pipeline.scheduler, steps, positions, self.device)

    def guides(self, guidance_scale: float) -> bool:
        return False  # the scale is an input, or the model was distilled without one

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        parts, limit = self.pipeline, self.tokenizer.segments[-1].limit
        pooled = parts.text_encoder(clip_ids(parts.tokenizer, prompts).to(self.device)).pooler_output
        context = parts.text_encoder_2(t5_ids(parts.tokenizer_2, prompts, limit).to(self.device))[0]
        return Encoded(context.to(self.dtype), {POOLED: pooled.to(self.dtype)})

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        return self.encode_prompts([prompt], chunks)

    def called(self, latents: Tensor, timestep: Tensor, texts: Encoded, guidance_scale: Tensor) -> Tensor:
        (rows, _, height, width), tokens = latents.shape, texts.context.shape[1]
        of_image = self.pipeline._prepare_latent_image_ids(
            rows, height // PATCH, width // PATCH, self.device, self.dtype
        )
        guided = {"guidance": guidance_scale} if self.network.config.guidance_embeds else {}
        output = self.network(
            hidden_states=packed(latents),
            # The network multiplies by 1000 again; cast before, as the pipeline does.
            timestep=timestep.to(latents.dtype) / 1000,
            encoder_hidden_states=texts.context,
            txt_ids=torch.zeros(tokens, 3, device=self.device, dtype=self.dtype),
            img_ids=of_image,
            **texts.beside,
            **guided,
            return_dict=False,
        )[0]
        return unpacked(output, height, width)


def packed(latents: Tensor) -> Tensor:
    """(rows, positions, channels * 4) of (rows, channels, height, width): two by two latents are a position."""
    rows, channels, height, width = latents.shape
    cells = latents.view(rows, channels, height // PATCH, PATCH, width // PATCH, PATCH).permute(0, 2, 4, 1, 3, 5)
    return cells.reshape(rows, (height // PATCH) * (width // PATCH), channels * PATCH**2)


def unpacked(positions: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `packed`."""
    rows, _, channels = positions.shape
    cells = positions.view(rows, height // PATCH, width // PATCH, channels // PATCH**2, PATCH, PATCH)
    return cells.permute(0, 3, 1, 4, 2, 5).reshape(rows, channels // PATCH**2, height, width)
