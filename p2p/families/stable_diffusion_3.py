"""SD3, SD3.5 and everything of their layout: two CLIP text encoders and T5, of which the last two columns are one."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from diffusers import StableDiffusion3Pipeline
from torch import Tensor

from p2p.attention.joint_processors import JointProcessor, SD3Attention
from p2p.attention.sites import AttentionSite, Keys
from p2p.errors import UnsupportedSize
from p2p.families.encoded import Encoded
from p2p.families.flow import PATCH, FlowFamily, clip_ids, t5_ids
from p2p.samplers.flow import by_number

#: The name of the prompts' single vectors, as the network's call has it: (rows, channels).
POOLED = "pooled_projections"
#: Blocks whose maps are read, by how many there are and how many have an `attn2`: those in which words are found best
#: (Shin et al. 2025, exploring-mmdit's `common.py`). Of other models, all. Of SD3.5 medium its list says 7, 9, 8, 5 and
#: 10; its code, which counts `attn2` too, read blocks 4 and 5. Of the seven of `scenes-flow` the first and the
#: last find words least (`benchmarks.blocks`).
READ_BLOCKS: Mapping[tuple[int, int], frozenset[int]] = {
    (7, 0): frozenset(range(1, 6)),
    (24, 0): frozenset({7, 8, 5, 4, 9}),
    (24, 13): frozenset({7, 9, 8, 5, 10}),
    (38, 0): frozenset({18, 21, 20, 24, 16}),
}


class StableDiffusion3(FlowFamily):
    """A `StableDiffusion3Pipeline`'s parts, as a `ModelFamily`.

    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.stable_diffusion_3`).
    """

    name = "stable_diffusion_3"
    kind = StableDiffusion3Pipeline
    processors: ClassVar[Mapping[str, type[JointProcessor]]] = {"JointAttnProcessor2_0": SD3Attention}
    published_widens = True

    def named_sites(self) -> Sequence[AttentionSite]:
        config, names = self.network.config, list(self.attention_layers)
        read = READ_BLOCKS.get((config.num_layers, len(config.dual_attention_layers)))
        return [_site(name, read is None or int(name.split(".")[1]) in read) for name in names]

    def scheduler(self, steps: int, positions: int) -> Any:
        return by_number(self.pipeline.scheduler, steps, positions, self.device)

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        shape, most = super().latent_shape(height, width), self.network.config.pos_embed_max_size * PATCH
        if max(shape[1:]) > most:
            sides = "x".join(str(side * self.scale_factor) for side in shape[1:])
            raise UnsupportedSize(f"{sides} pixels: this model has places for {most * self.scale_factor} a side")
        return shape

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        parts, states, pooled = self.pipeline, [], []
        for tokenizer, encoder in (
            (parts.tokenizer, parts.text_encoder),
            (parts.tokenizer_2, parts.text_encoder_2),
        ):
            said = encoder(clip_ids(tokenizer, prompts).to(self.device), output_hidden_states=True)
            pooled.append(said[0])
            states.append(said.hidden_states[-2])
        limit = self.tokenizer.segments[-1].limit
        t5 = parts.text_encoder_3(t5_ids(parts.tokenizer_3, prompts, limit).to(self.device))[0]
        clip = torch.cat(states, -1)
        # The two of CLIP side by side, filled up with zeros to T5's width; T5's tokens behind.
        clip = torch.nn.functional.pad(clip, (0, t5.shape[-1] - clip.shape[-1]))
        context = torch.cat([clip, t5.to(clip.dtype)], -2)
        return Encoded(context.to(self.dtype), {POOLED: torch.cat(pooled, -1).to(self.dtype)})

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        return self.encode_prompts([prompt], chunks)

    def called(self, latents: Tensor, timestep: Tensor, texts: Encoded, guidance_scale: Tensor) -> Tensor:
        given = {"encoder_hidden_states": texts.context, "timestep": timestep, **texts.beside}
        return self.network(hidden_states=latents, **given, return_dict=False)[0]


def _site(name: str, is_read: bool) -> AttentionSite:
    """`attn2` of SD3.5 medium sees pixels alone."""
    if name.endswith(".attn2.processor"):
        return AttentionSite(name, Keys.IMAGE, PATCH, is_carried=True)
    block = int(name.split(".")[1])
    return AttentionSite(name, Keys.JOINT, PATCH, is_read=is_read, is_carried=True, block=block)
