"""SD 1.x and everything of its layout: one CLIP text encoder, a UNet with separate self- and cross-attention."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from p2p.attention.control import AttentionControl
from p2p.attention.processors import ControlledAttention, check
from p2p.attention.sites import AttentionSite, Keys, levels
from p2p.errors import UnsupportedSize
from p2p.families.base import Conditioning
from p2p.families.described import described
from p2p.families.opening import opened
from p2p.families.packed import pack
from p2p.families.revision import revision_of
from p2p.families.source import source_of
from p2p.finite import finite_or_again
from p2p.layouts import LAYOUTS
from p2p.layouts.base import require
from p2p.layouts.model_files import ModelFiles
from p2p.schedulers import fresh
from p2p.spec import SchedulerName

NAME = "stable_diffusion"


class StableDiffusion:
    """A `StableDiffusionPipeline`'s parts, as a `ModelFamily`.

    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.stable_diffusion`).
    """

    def __init__(self, pipeline: StableDiffusionPipeline, revision: str = "unknown") -> None:
        parts = described(pipeline)
        require(NAME, LAYOUTS[NAME], parts)
        self.pipeline, self.revision = pipeline, revision
        self.network, self.tokenizer = pipeline.unet, pipeline.tokenizer
        # A tokenizer whose files say nothing would let any prompt through, to fail in the text encoder.
        limit = LAYOUTS[NAME].tokens(parts) or self.tokenizer.model_max_length
        self.tokenizer.model_max_length = min(self.tokenizer.model_max_length, limit)
        self.scale_factor = pipeline.vae_scale_factor
        # A gradient is only ever asked for by a text's embedding: for its weights, activations would be kept as well.
        self.network.requires_grad_(False)
        # Read once: diffusers walks all modules to answer, which shows in a small model's runs.
        self.device, self.dtype = self.network.device, self.network.dtype
        self.attention_layers = {
            name: self.network.get_submodule(name.removesuffix(".processor")) for name in self.network.attn_processors
        }
        for name, layer in self.attention_layers.items():
            check(name, layer)
        self.levels = levels(self.attention_sites(), self.network.config.sample_size)

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
        files = ModelFiles(path, revision) if isinstance(path, str) else path
        source = source_of(NAME, files, scheduler)
        pipeline = opened(StableDiffusionPipeline, NAME, source, device=device, dtype=dtype)
        for network in (pipeline.unet, pipeline.vae.decoder):
            pack(network)
        return cls(pipeline, revision_of(files, dtype))

    @cached_property
    def _sites(self) -> tuple[AttentionSite, ...]:
        coarsest = 2 ** (len(self.network.config.block_out_channels) - 1)

        def factor(block: str, index: str) -> int:
            # Attention runs before a block's down- or upsampler; the middle is as coarse as the last block down.
            if block == "down_blocks":
                return 2 ** int(index)
            return coarsest // 2 ** int(index) if block == "up_blocks" else coarsest

        return tuple(
            AttentionSite(name, Keys.TEXT if ".attn2." in name else Keys.IMAGE, factor(*name.split(".")[:2]))
            for name in self.network.attn_processors
        )

    def attention_sites(self) -> Sequence[AttentionSite]:
        return self._sites

    def attention_processors(self, control: AttentionControl) -> Mapping[str, ControlledAttention]:
        layers = self.attention_layers
        return {site.name: ControlledAttention(site, control, layers[site.name].processor) for site in self._sites}

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        factor, native = self.scale_factor, self.network.config.sample_size
        sides = [native * factor if side is None else side for side in (height, width)]
        if any(side % factor for side in sides):
            raise UnsupportedSize(f"{sides[0]}x{sides[1]} pixels: both sides must be multiples of {factor}")
        return self.network.config.in_channels, sides[0] // factor, sides[1] // factor

    def scheduler(self, steps: int, name: SchedulerName | None = None):
        return fresh(self.pipeline.scheduler, name, steps, self.device)

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        ids = self.tokenizer(list(prompts), padding="max_length", return_tensors="pt").input_ids
        return self.pipeline.text_encoder(ids.to(self.device))[0].to(self.dtype)

    @torch.no_grad()
    def predict(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        batch = conditioning.batch(latents)
        return conditioning.combine(self.network(batch, timestep, conditioning.context, return_dict=False)[0])

    def predict_differentiable(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        with torch.enable_grad(), checkpointed(self.network):
            return self.network(latents, timestep, text, return_dict=False)[0]

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        vae = self.pipeline.vae

        def mean(rows: Tensor) -> Tensor:
            return vae.encode(rows.to(self.device, vae.dtype)).latent_dist.mean

        found = finite_or_again(mean, pixels * 2 - 1, vae, "the latents of the picture")
        return (found * vae.config.scaling_factor).to(self.dtype)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        vae = self.pipeline.vae

        def drawn(rows: Tensor) -> Tensor:
            return vae.decode(rows.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]

        pixels = finite_or_again(drawn, latents, vae, "the pixels")
        return (pixels.float() / 2 + 0.5).clamp(0, 1)


@contextmanager
def checkpointed(network) -> Iterator[None]:
    """A network that keeps the activations at its blocks' ends only, and computes the others again for a gradient."""
    network.enable_gradient_checkpointing()
    try:
        yield
    finally:
        network.disable_gradient_checkpointing()
