"""FLUX.2 klein and everything of its layout: Qwen3's tokens beside the pixels, and no vector of the prompt.

A cell of its latents is a position of the network: four of the autoencoder's, normalised as the pipeline does it. So
noise is drawn in that shape too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from diffusers import Flux2KleinPipeline
from torch import Tensor

from p2p.attention.joint_processors import Flux2SingleAttention, FluxAttention, JointProcessor
from p2p.attention.sites import AttentionSite, Keys
from p2p.families.chat import require_template
from p2p.families.encoded import Encoded
from p2p.families.flow import FlowFamily
from p2p.finite import finite_or_again
from p2p.layouts.flux2_klein import PREFIX, SUFFIX
from p2p.samplers.flow import by_steps_too

#: Cells of the autoencoder along a side of a position.
_CELLS = 2


class Flux2Klein(FlowFamily):
    """A `Flux2KleinPipeline`'s parts, as a `ModelFamily`.

    Attributes:
        text_layers: of the text encoder, whose states stand side by side (`text_encoder_out_layers` of the pipeline).

    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.flux2_klein`).
    """

    name = "flux2_klein"
    kind = Flux2KleinPipeline
    processors: ClassVar[Mapping[str, type[JointProcessor]]] = {
        "Flux2AttnProcessor": FluxAttention,
        "Flux2ParallelSelfAttnProcessor": Flux2SingleAttention,
    }
    published_widens = False
    patch = 1
    text_layers: Sequence[int] = (9, 18, 27)

    def __init__(self, pipeline: Any, revision: str = "unknown") -> None:
        super().__init__(pipeline, revision)
        self.scale_factor = _CELLS * pipeline.vae_scale_factor
        require_template(pipeline.tokenizer, PREFIX, SUFFIX, thinking=False)
        vae = pipeline.vae
        mean, variance = (each.view(1, -1, 1, 1) for each in (vae.bn.running_mean, vae.bn.running_var))
        self._mean, self._deviation = mean, torch.sqrt(variance + vae.config.batch_norm_eps)

    def named_sites(self) -> Sequence[AttentionSite]:
        # Nobody has said yet in which blocks of this model words are found best: maps are read in those of two streams.
        return [
            AttentionSite(
                name,
                Keys.JOINT,
                self.patch,
                is_read=name.startswith("transformer_blocks."),
                is_carried=True,
                text_first=True,
                block=block,
            )
            for block, name in enumerate(self.attention_layers)
        ]

    def scheduler(self, steps: int, positions: int) -> Any:
        return by_steps_too(self.pipeline.scheduler, steps, positions, self.device)

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        native = self.pipeline.default_sample_size * self.pipeline.vae_scale_factor
        sides = [native if side is None else side for side in (height, width)]
        self.require_multiples(sides)
        return self.network.config.in_channels, sides[0] // self.scale_factor, sides[1] // self.scale_factor

    def guides(self, guidance_scale: float) -> bool:
        return guidance_scale > 1 and not self.pipeline.config.is_distilled

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        (segment,) = self.tokenizer.segments
        texts = [f"{segment.prefix}{prompt}{segment.suffix}" for prompt in prompts]
        how = {"padding": "max_length", "truncation": True, "max_length": segment.limit, "return_tensors": "pt"}
        given = self.pipeline.tokenizer(texts, **how).to(self.device)
        said = self.pipeline.text_encoder(
            input_ids=given.input_ids, attention_mask=given.attention_mask, output_hidden_states=True, use_cache=False
        )
        states = torch.stack([said.hidden_states[layer] for layer in self.text_layers], 1).to(self.dtype)
        return Encoded(states.permute(0, 2, 1, 3).flatten(2))

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        return self.encode_prompts([prompt], chunks)

    def called(self, latents: Tensor, timestep: Tensor, texts: Encoded, guidance_scale: Tensor) -> Tensor:
        parts, size = self.pipeline, latents.shape[-2:]
        output = self.network(
            hidden_states=latents.flatten(2).transpose(1, 2),
            # The network multiplies by 1000 again; cast before, as the pipeline does.
            timestep=timestep.to(latents.dtype) / 1000,
            guidance=None,
            encoder_hidden_states=texts.context,
            txt_ids=parts._prepare_text_ids(texts.context).to(self.device),
            img_ids=parts._prepare_latent_ids(latents).to(self.device),
            return_dict=False,
        )[0]
        return output.transpose(1, 2).unflatten(2, size)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        vae = self.pipeline.vae

        def mean(rows: Tensor) -> Tensor:
            return vae.encode(rows.to(self.device, vae.dtype)).latent_dist.mean

        found = finite_or_again(mean, pixels * 2 - 1, vae, "the latents of the picture")
        cells = self.pipeline._patchify_latents(found)
        return ((cells - self._mean.to(cells)) / self._deviation.to(cells)).to(self.dtype)

    @torch.no_grad()
    def _decoded(self, latents: Tensor, runs: Sequence[int] | None = None) -> Tensor:
        vae = self.pipeline.vae

        def drawn(rows: Tensor) -> Tensor:
            return vae.decode(self.unscaled(rows.to(vae.dtype)), return_dict=False)[0]

        pixels = finite_or_again(drawn, latents, vae, "the pixels", runs)
        return (pixels.float() / 2 + 0.5).clamp(0, 1)

    def unscaled(self, latents: Tensor) -> Tensor:
        """The autoencoder's own latents, of twice as many cells along a side."""
        cells = latents * self._deviation.to(latents) + self._mean.to(latents)
        return self.pipeline._unpatchify_latents(cells)
