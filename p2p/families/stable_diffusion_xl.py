"""SDXL and everything of its layout: two CLIP text encoders, whose second one also says a prompt in a single vector."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor

from p2p.attention.sites import AttentionSite, Levels
from p2p.errors import PromptTooLong
from p2p.families.encoded import Encoded
from p2p.families.text_ids import padded_ids, under_one_prompt
from p2p.families.unet import UNetFamily

#: The name of the prompts' single vectors, as the network's call has it: (rows, channels).
POOLED = "text_embeds"


class StableDiffusionXL(UNetFamily):
    """A `StableDiffusionXLPipeline`'s parts, as a `ModelFamily`.

    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.stable_diffusion_xl`).
    """

    name = "stable_diffusion_xl"
    kind = StableDiffusionXLPipeline
    options: ClassVar[Mapping[str, Any]] = {"add_watermarker": False}

    def __init__(self, pipeline: StableDiffusionXLPipeline, revision: str = "unknown") -> None:
        super().__init__(pipeline, revision)
        # In float16 this autoencoder overflows, encoding and decoding alike (vladmandic/sdnext 2193); those of
        # SD 1.x say `force_upcast` too, and do not need it.
        if pipeline.vae.dtype == torch.float16 and pipeline.vae.config.force_upcast:
            pipeline.vae.to(torch.float32)

    def levels_of(self, sites: Sequence[AttentionSite]) -> Levels:
        # A 32nd of the picture's side for both, whatever the model's size: as the public port for SDXL has it.
        return Levels(maps=4, self_attention=4)

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        parts = self.pipeline
        states, pooled = [], None
        for tokenizer, encoder in (
            (parts.tokenizer, parts.text_encoder),
            (parts.tokenizer_2, parts.text_encoder_2),
        ):
            ids = self._ids(tokenizer, prompts, chunks)
            said = encoder(ids.to(self.device), output_hidden_states=True)
            states.append(under_one_prompt(said.hidden_states[-2], chunks))
            # Of the second encoder in the end, its projection; of several chunks the first one's, as users know it.
            pooled = said[0].unflatten(0, (-1, chunks))[:, 0]
        assert pooled is not None
        return Encoded(torch.cat(states, -1).to(self.dtype), {POOLED: pooled.to(self.dtype)})

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        encoded = self.encode_prompts([prompt], chunks)
        if prompt or not self.pipeline.config.force_zeros_for_empty_prompt:
            return encoded
        nothing = {name: torch.zeros_like(tensor) for name, tensor in encoded.beside.items()}
        return Encoded(torch.zeros_like(encoded.context), nothing)

    def network_inputs(self, latents: Tensor, texts: Encoded) -> Mapping[str, Any]:
        height, width = (side * self.scale_factor for side in latents.shape[-2:])
        # The sizes that the picture had in training, where it was cropped, and what it should be: Podell et al. 2023,
        # section 2.2. As the pipeline has it by default: the size that is drawn, not cropped.
        sizes = torch.tensor([height, width, 0, 0, height, width], device=latents.device, dtype=texts.context.dtype)
        return {"added_cond_kwargs": {**texts.beside, "time_ids": sizes.expand(len(latents), -1)}}

    def _ids(self, tokenizer: Any, prompts: Sequence[str], chunks: int) -> Tensor:
        # The second one pads with "!" and reads a prompt's own as padding, so that it can count other tokens.
        ids = padded_ids(tokenizer, prompts, chunks)
        if ids.shape[1] > tokenizer.model_max_length:
            longest = max(prompts, key=lambda prompt: len(tokenizer(prompt).input_ids))
            raise PromptTooLong(longest, ids.shape[1], tokenizer.model_max_length)
        return ids
