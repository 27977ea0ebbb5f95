"""What families of UNets have in common: separate self- and cross-attention, an autoencoder, diffusers' schedulers.

A family adds how it reads prompts, at which levels it is read and carried over, and what its network takes beside the
latents, the timestep and the context.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl
from p2p.attention.processors import ControlledAttention, layers_of
from p2p.attention.sites import AttentionSite, Keys, Levels, levels
from p2p.errors import UnsupportedSampling, UnsupportedSize
from p2p.families.base import DrawnFrom, Finishing
from p2p.families.conditioning import Conditioning
from p2p.families.described import described
from p2p.families.encoded import Encoded
from p2p.families.lora_shelf import LoraShelf
from p2p.families.opening import opened
from p2p.families.packed import pack
from p2p.families.revision import revision_of
from p2p.families.source import source_of
from p2p.finite import finite_or_again
from p2p.layouts import LAYOUTS
from p2p.layouts.base import Parts, require
from p2p.layouts.model_files import ModelFiles
from p2p.samplers.gaussian import GaussianSampler
from p2p.schedulers import fresh, name_of
from p2p.spec import SchedulerName, State, TokenOrder
from p2p.spec.states import NO_ORDER

#: The scheduler of networks that are distilled to take the guidance scale as an input (Luo et al. 2023).
DISTILLED = "lcm"


class UNetFamily:
    """A pipeline's UNet, autoencoder and scheduler, as the part of a `ModelFamily` that does not read prompts.

    Attributes:
        name: its row of `LAYOUTS`.
        kind, options: diffusers' class of the pipeline, and what it is made with.

    Raises:
        UnsupportedModel: a part or an attention layer is not handled exactly.
    """

    name: ClassVar[str]
    kind: ClassVar[Any]
    options: ClassVar[Mapping[str, Any]] = {}
    state: ClassVar[State] = "latents"
    reads_chunks: ClassVar[bool] = True
    #: What takes the place of the layers' processors.
    processor: ClassVar[Any] = ControlledAttention

    def __init__(self, pipeline: Any, revision: str = "unknown") -> None:
        parts, layout = self.described(pipeline), LAYOUTS[self.name]
        require(self.name, layout, parts)
        self.pipeline, self.revision, self.loras = pipeline, revision, LoraShelf(pipeline)
        self.network, self.tokenizer = pipeline.unet, pipeline.tokenizer
        # A pixel is a cell where there is no autoencoder, whatever further networks make of it.
        self.scale_factor = getattr(pipeline, "vae_scale_factor", 1)
        # A gradient is only ever asked for by a text's embedding: for its weights, activations would be kept as well.
        self.network.requires_grad_(False)
        # Read once: diffusers walks all modules to answer, which shows in a small model's runs.
        self.device, self.dtype = self.network.device, self.network.dtype
        self.guidance_inputs = self.network.config.get("time_cond_proj_dim")
        self.attention_layers = self.layers_of(self.network)
        self.tokenizers = tuple(getattr(pipeline, reader.tokenizer) for reader in layout.readers)
        for tokenizer in self.tokenizers:
            # One whose files say nothing would let any prompt through, to fail in the text encoder.
            limit = layout.tokens(parts) or tokenizer.model_max_length
            tokenizer.model_max_length = min(tokenizer.model_max_length, limit)
        sites = self._named_sites()
        at = self.levels_of(sites)
        self._sites, self.map_factor = at.of(sites), at.maps

    @classmethod
    def load(
        cls,
        path: str | ModelFiles,
        *,
        revision: str | None = None,
        device: str,
        dtype: torch.dtype,
        scheduler: SchedulerName | None = None,
    ) -> Self:
        """The model of a diffusers directory, a hub id or further files; safetensors only, never a pickle.

        Args:
            revision: of a hub id that is given as a string.
        Raises:
            UnsupportedModel: naming what the family does not handle, or what is wrong with the files.
        """
        files = ModelFiles(path, revision) if isinstance(path, str) else path
        source = source_of(cls.name, files, scheduler)
        pipeline = opened(cls.kind, cls.name, source, device=device, dtype=dtype, **cls.options)
        for network in cls.packed(pipeline):
            pack(network)
        made = cls(pipeline, revision_of(files, dtype))
        made.loras = LoraShelf(pipeline, files.lora_choices)
        return made

    @classmethod
    def described(cls, pipeline: Any) -> Parts:
        """The parts of a pipeline, which the layout is compared with."""
        return described(pipeline)

    @classmethod
    def packed(cls, pipeline: Any) -> Sequence[torch.nn.Module]:
        """The networks that are called at every step or at the end, whose weights are worth packing."""
        return pipeline.unet, pipeline.vae.decoder

    @property
    def networks(self) -> Sequence[torch.nn.Module]:
        return [part for part in self.pipeline.components.values() if isinstance(part, torch.nn.Module)]

    @staticmethod
    def layers_of(network: Any) -> Mapping[str, Any]:
        """The attention layers, by the names of their processors; raises `UnsupportedModel` for one of another kind."""
        return layers_of(network)

    def levels_of(self, sites: Sequence[AttentionSite]) -> Levels:
        """Where maps are read and self-attention is carried over."""
        return levels(sites, self.network.config.sample_size)

    def network_inputs(self, latents: Tensor, texts: Encoded) -> Mapping[str, Any]:
        """What the network takes beside the latents, the timestep and the context, for the rows of a batch."""
        return {}

    def _named_sites(self) -> tuple[AttentionSite, ...]:
        coarsest = 2 ** (len(self.network.config.block_out_channels) - 1)

        def factor(block: str, index: str) -> int:
            # Attention runs before a block's down- or upsampler; the middle is as coarse as the last block down.
            if block == "down_blocks":
                return 2 ** int(index)
            return coarsest // 2 ** int(index) if block == "up_blocks" else coarsest

        return tuple(self.site(name, factor(*name.split(".")[:2])) for name in self.network.attn_processors)

    def site(self, name: str, factor: int) -> AttentionSite:
        """The site of a layer."""
        return AttentionSite(name, Keys.TEXT if ".attn2." in name else Keys.IMAGE, factor)

    def attention_sites(self) -> Sequence[AttentionSite]:
        return self._sites

    def attention_processors(self, control: AttentionControl) -> Mapping[str, Any]:
        layers = self.attention_layers
        return {site.name: self.processor(site, control, layers[site.name].processor) for site in self._sites}

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        factor, native = self.scale_factor, self.network.config.sample_size
        sides = [native * factor if side is None else side for side in (height, width)]
        if any(side % factor for side in sides):
            raise UnsupportedSize(f"{sides[0]}x{sides[1]} pixels: both sides must be multiples of {factor}")
        return self.network.config.in_channels, sides[0] // factor, sides[1] // factor

    def scheduler(self, steps: int, name: SchedulerName | None = None) -> Any:
        """A fresh scheduler of diffusers, its timesteps set."""
        made = fresh(self.pipeline.scheduler, name, steps, self.device)
        if self.guidance_inputs and name_of(made) != DISTILLED:
            raise UnsupportedSampling(
                f"this model is distilled for few steps and runs on {DISTILLED} alone, not on {name_of(made)}: "
                f"leave the scheduler out, or ask for {DISTILLED}"
            )
        return made

    def sampler(
        self, steps: int, name: SchedulerName | None, shape: Sequence[int], order: TokenOrder | None = None
    ) -> GaussianSampler:
        if order is not None:
            raise UnsupportedSampling(NO_ORDER)
        return GaussianSampler(self.scheduler(steps, name), self.device, self.dtype)

    def guides(self, guidance_scale: float) -> bool:
        return guidance_scale > 1 and not self.guidance_inputs

    @torch.no_grad()
    def predict(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        batch, scale = conditioning.batch(latents), conditioning.guidance_scale
        if timestep.ndim:
            timestep = conditioning.batch(timestep)
        return conditioning.combine(self._called(batch, timestep, conditioning.texts, scale))

    def predict_differentiable(self, latents: Tensor, timestep: Tensor, text: Encoded) -> Tensor:
        with torch.enable_grad(), checkpointed(self.network):
            return self._called(latents, timestep, text, torch.ones(len(latents)))

    def _called(self, latents: Tensor, timestep: Tensor, texts: Encoded, guidance_scale: Tensor) -> Tensor:
        inputs = dict(self.network_inputs(latents, texts))
        if self.guidance_inputs:
            inputs["timestep_cond"] = self._guidance(guidance_scale)
        return self.network(latents, timestep, texts.context, **inputs, return_dict=False)[0]

    def _guidance(self, scale: Tensor) -> Tensor:
        """The guidance scale of each row as an input, (rows, channels): w of Luo et al. 2023 is the scale less one."""
        embed = self.pipeline.get_guidance_scale_embedding
        return embed(scale.float() - 1, embedding_dim=self.guidance_inputs).to(self.device, self.dtype)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        vae = self.pipeline.vae

        def mean(rows: Tensor) -> Tensor:
            return vae.encode(rows.to(self.device, vae.dtype)).latent_dist.mean

        found = finite_or_again(mean, pixels * 2 - 1, vae, "the latents of the picture")
        return (found * vae.config.scaling_factor).to(self.dtype)

    def decode(self, latents: Tensor) -> Tensor:
        return self._decoded(latents)

    @torch.no_grad()
    def _decoded(self, latents: Tensor, runs: Sequence[int] | None = None) -> Tensor:
        vae = self.pipeline.vae

        def drawn(rows: Tensor) -> Tensor:
            return vae.decode(rows.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]

        pixels = finite_or_again(drawn, latents, vae, "the pixels", runs)
        return (pixels.float() / 2 + 0.5).clamp(0, 1)

    def finishing(self, height: int | None, width: int | None) -> Finishing:
        return Finishing()

    def finish(self, latents: Tensor, rows: Sequence[DrawnFrom]) -> Generator[int, None, Tensor]:
        yield from ()  # the autoencoder is one call
        return self._decoded(latents, [row.run for row in rows])


@contextmanager
def checkpointed(network) -> Iterator[None]:
    """A network that keeps the activations at its blocks' ends only, and computes the others again for a gradient."""
    network.enable_gradient_checkpointing()
    try:
        yield
    finally:
        network.disable_gradient_checkpointing()
