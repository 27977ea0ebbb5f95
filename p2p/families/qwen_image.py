"""Qwen-Image and everything of its layout: Qwen2.5-VL's tokens beside the pixels, an autoencoder of films.

Guided velocities get the size that they have with the prompt alone, position by position.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from diffusers import QwenImagePipeline
from torch import Tensor

from p2p.attention.joint_processors import JointProcessor, QwenAttention
from p2p.attention.sites import AttentionSite, Keys
from p2p.errors import UnsupportedModel
from p2p.families.chat import lengths_of, of_lengths
from p2p.families.encoded import Encoded
from p2p.families.flow import PATCH, FlowFamily
from p2p.families.flux import packed, unpacked
from p2p.finite import finite_or_again
from p2p.layouts.qwen_image import DROPPED, PREFIX, SUFFIX
from p2p.samplers.flow import by_sigmas

#: Blocks whose maps are read, by how many there are. Nobody has published in which ones words are found best: these lie
#: between a quarter and a half of the way, as do most of those that were published of FLUX.1 and SD3. Of others, all.
READ_BLOCKS: Mapping[int, Sequence[int]] = {60: range(15, 31, 3)}


class QwenImage(FlowFamily):
    """A `QwenImagePipeline`'s parts, as a `ModelFamily`. Latents are packed inside of the network's call.

    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.qwen_image`).
    """

    name = "qwen_image"
    kind = QwenImagePipeline
    processors: ClassVar[Mapping[str, type[JointProcessor]]] = {"QwenDoubleStreamAttnProcessor2_0": QwenAttention}
    published_widens = False

    def __init__(self, pipeline: Any, revision: str = "unknown") -> None:
        super().__init__(pipeline, revision)
        said = pipeline.prompt_template_encode, pipeline.prompt_template_encode_start_idx
        if said != (f"{PREFIX}{{}}{SUFFIX}", DROPPED):
            raise UnsupportedModel(
                f"the pipeline says {said[0]!r} around a prompt and leaves out {said[1]} tokens of it"
            )
        config = pipeline.vae.config
        self._mean, self._deviation = (
            torch.tensor(each).view(1, -1, 1, 1, 1) for each in (config.latents_mean, config.latents_std)
        )

    @property
    def latent_channels(self) -> int:
        return self.pipeline.vae.config.z_dim

    def named_sites(self) -> Sequence[AttentionSite]:
        count = len(self.attention_layers)
        read = READ_BLOCKS.get(count, range(count))
        return [
            AttentionSite(name, Keys.JOINT, PATCH, block in read, is_carried=True, text_first=True, block=block)
            for block, name in enumerate(self.attention_layers)
        ]

    def scheduler(self, steps: int, positions: int) -> Any:
        return by_sigmas(self.pipeline.scheduler, steps, positions, self.device)

    def guided(self, without: Tensor, rows: Tensor, scale: Tensor) -> Tensor:
        # Packed, so that a position's numbers are added up in the pipeline's order.
        found, alone = packed(super().guided(without, rows, scale)), packed(rows)
        wanted, own = (torch.norm(each, dim=-1, keepdim=True) for each in (alone, found))
        return unpacked(found * (wanted / own), *rows.shape[-2:])

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        (segment,) = self.tokenizer.segments
        texts = [f"{segment.prefix}{prompt}{segment.suffix}" for prompt in prompts]
        given = self.pipeline.tokenizer(texts, padding=True, return_tensors="pt").to(self.device)
        said = self.pipeline.text_encoder(
            input_ids=given.input_ids, attention_mask=given.attention_mask, output_hidden_states=True
        )
        return of_lengths(said.hidden_states[-1].to(self.dtype), given.attention_mask, segment.limit, segment.dropped)

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        return self.encode_prompts([prompt], chunks)

    def called(self, latents: Tensor, timestep: Tensor, texts: Encoded, guidance_scale: Tensor) -> Tensor:
        (rows, _, height, width), lengths = latents.shape, lengths_of(texts)
        tokens = max(lengths)  # as the pipeline fills up prompts: to the longest one
        mask = None
        if min(lengths) < tokens:
            mask = torch.arange(tokens) < torch.tensor(lengths)[:, None]
            mask = mask.to(self.device)
        output = self.network(
            hidden_states=packed(latents),
            # The network multiplies by 1000 again; cast before, as the pipeline does.
            timestep=timestep.to(latents.dtype) / 1000,
            encoder_hidden_states=texts.context[:, :tokens],
            encoder_hidden_states_mask=mask,
            img_shapes=[[(1, height // PATCH, width // PATCH)]] * rows,
            return_dict=False,
        )[0]
        return unpacked(output, height, width)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        vae = self.pipeline.vae

        def mean(rows: Tensor) -> Tensor:
            return vae.encode(rows.to(self.device, vae.dtype).unsqueeze(2)).latent_dist.mean

        found = finite_or_again(mean, pixels * 2 - 1, vae, "the latents of the picture")
        return ((found - self._mean.to(found)) / self._deviation.to(found)).squeeze(2).to(self.dtype)

    @torch.no_grad()
    def _decoded(self, latents: Tensor, runs: Sequence[int] | None = None) -> Tensor:
        vae = self.pipeline.vae

        def drawn(rows: Tensor) -> Tensor:
            # A film of one picture. Divided by a reciprocal as the pipeline does, so that nothing is rounded otherwise.
            rows = rows.to(vae.dtype).unsqueeze(2)
            scaled = rows / (1.0 / self._deviation.to(rows)) + self._mean.to(rows)
            return vae.decode(scaled, return_dict=False)[0][:, :, 0]

        pixels = finite_or_again(drawn, latents, vae, "the pixels", runs)
        return (pixels.float() / 2 + 0.5).clamp(0, 1)
