"""What families of flows have in common: pixels and text in one softmax, an autoencoder with a shift, Euler's steps.

A family adds how it reads prompts, what its network takes, and how its schedule is made.
"""

from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl
from p2p.attention.joint_processors import JointProcessor, joint_layers_of
from p2p.attention.sites import AttentionSite, Keys
from p2p.errors import UnsupportedInversion, UnsupportedModel, UnsupportedSampling, UnsupportedSize
from p2p.families.base import DrawnFrom, Finishing
from p2p.families.conditioning import Conditioning, classifier_free
from p2p.families.described import described
from p2p.families.encoded import Encoded
from p2p.families.lora_shelf import LoraShelf
from p2p.families.opening import opened
from p2p.families.packed import pack
from p2p.families.revision import revision_of
from p2p.families.source import source_of
from p2p.finite import finite_or_again
from p2p.layouts import LAYOUTS
from p2p.layouts.base import require
from p2p.layouts.model_files import ModelFiles
from p2p.samplers.flow import FlowSampler
from p2p.segments import SegmentedTokenizer, reader_of
from p2p.spec import SchedulerName, State, TokenOrder
from p2p.spec.states import NO_ORDER, no_inversion, no_scheduler_of_flows

#: Latents of a position's side, and pixels' positions along it: what every family here has.
PATCH = 2


class FlowFamily:
    """A pipeline's transformer, autoencoder and scheduler, as the part of a `ModelFamily` that does not read prompts.

    Attributes:
        name: its row of `LAYOUTS`.
        kind: diffusers' class of the pipeline.
        processors: the family's own, by the class of the stock one that each stands in for.
        patch: latents along a side of a position.
        published_widens: whether the published method widens the regions of words.

    Raises:
        UnsupportedModel: a part or an attention layer is not handled exactly.
    """

    name: ClassVar[str]
    kind: ClassVar[Any]
    processors: ClassVar[Mapping[str, type[JointProcessor]]]
    patch: ClassVar[int] = PATCH
    published_widens: ClassVar[bool]
    state: ClassVar[State] = "flows"
    reads_chunks: ClassVar[bool] = False  # a prompt stands in segments of its text encoders (`p2p.segments`)

    def __init__(self, pipeline: Any, revision: str = "unknown") -> None:
        parts, layout = described(pipeline), LAYOUTS[self.name]
        require(self.name, layout, parts)
        self.pipeline, self.revision, self.loras = pipeline, revision, LoraShelf(pipeline)
        self.network, self.scale_factor = pipeline.transformer, pipeline.vae_scale_factor
        self.network.requires_grad_(False)
        # Of networks that wait in main memory, where they run.
        self.device, self.dtype = pipeline._execution_device, self.network.dtype
        self.attention_layers = joint_layers_of(self.network, self.processors)
        asked = layout.segments_of(parts)
        tokenizers = [getattr(pipeline, segment.tokenizer) for segment in asked]
        pairs = zip(asked, tokenizers, strict=True)
        segments = [segment.at_most(tokenizer.model_max_length) for segment, tokenizer in pairs]
        self.read_by(SegmentedTokenizer(segments, [reader_of(tokenizer) for tokenizer in tokenizers]))
        self._sites, self.map_factor = tuple(self.named_sites()), self.patch

    def read_by(self, tokenizer: SegmentedTokenizer) -> None:
        """Has prompts read by another tokenizer, such as one of other limits."""
        self.tokenizer, self.tokenizers = tokenizer, (tokenizer,)

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
        """The model of a diffusers directory or a hub id; safetensors only, never a pickle.

        Args:
            revision: of a hub id that is given as a string.
        Raises:
            UnsupportedModel: naming what the family does not handle, or what is wrong with the files.
        """
        files = ModelFiles(path, revision) if isinstance(path, str) else path
        if files.embeddings:
            raise UnsupportedModel(f"{files.embeddings[0].path} holds learned words, and {cls.name} takes none")
        source = source_of(cls.name, files, scheduler)
        pipeline = opened(cls.kind, cls.name, source, device=device, dtype=dtype)
        if torch.device(device).type == "cpu":
            for network in (pipeline.transformer, pipeline.vae.decoder):
                pack(network)
        made = cls(pipeline, revision_of(files, dtype))
        made.loras = LoraShelf(pipeline, files.lora_choices)
        return made

    @property
    def networks(self) -> Sequence[torch.nn.Module]:
        return [part for part in self.pipeline.components.values() if isinstance(part, torch.nn.Module)]

    @abstractmethod
    def named_sites(self) -> Sequence[AttentionSite]:
        """The attention layers, each saying whether it is read and carried over."""

    @abstractmethod
    def scheduler(self, steps: int, positions: int) -> Any:
        """A fresh scheduler of diffusers with its sigmas set, for a picture of so many positions."""

    @abstractmethod
    def called(self, latents: Tensor, timestep: Tensor, texts: Encoded, guidance_scale: Tensor) -> Tensor:
        """The network's velocity for a batch.

        Args:
            timestep: (rows,).
            guidance_scale: (rows,), of models that take it as an input.
        """

    def attention_sites(self) -> Sequence[AttentionSite]:
        return self._sites

    @contextmanager
    def read_in(self, blocks: Set[int]) -> Iterator[None]:
        """Within the block of code, word maps are read in these blocks of the network alone."""
        before = self._sites
        self._sites = tuple(replace(site, is_read=site.keys is Keys.JOINT and site.block in blocks) for site in before)
        try:
            yield
        finally:
            self._sites = before

    def attention_processors(self, control: AttentionControl) -> Mapping[str, JointProcessor]:
        stock = {name: layer.processor for name, layer in self.attention_layers.items()}
        return {
            site.name: self.processors[type(stock[site.name]).__name__](site, control, stock[site.name])
            for site in self._sites
        }

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        native = self.pipeline.default_sample_size * self.scale_factor
        sides = [native if side is None else side for side in (height, width)]
        self.require_multiples(sides)
        return self.latent_channels, sides[0] // self.scale_factor, sides[1] // self.scale_factor

    @property
    def latent_channels(self) -> int:
        """Numbers of a cell of the latents."""
        return self.pipeline.vae.config.latent_channels

    @property
    def latent_dtype(self) -> torch.dtype:
        """In what latents are kept between steps: what the pipeline keeps them in."""
        return self.dtype

    def require_multiples(self, sides: Sequence[int]) -> None:
        """Refuses sides that are no multiples of a position's pixels."""
        cell = self.patch * self.scale_factor
        if any(side % cell for side in sides):
            raise UnsupportedSize(f"{sides[0]}x{sides[1]} pixels: both sides must be multiples of {cell}")

    def sampler(
        self, steps: int, name: SchedulerName | None, shape: Sequence[int], order: TokenOrder | None = None
    ) -> FlowSampler:
        if name is not None:
            raise UnsupportedSampling(no_scheduler_of_flows(name))
        if order is not None:
            raise UnsupportedSampling(NO_ORDER)
        positions = (shape[1] // self.patch) * (shape[2] // self.patch)
        return FlowSampler(self.scheduler(steps, positions), self.device, self.latent_dtype)

    def guides(self, guidance_scale: float) -> bool:
        return guidance_scale > 1

    @torch.no_grad()
    def predict(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        batch = conditioning.batch(latents)
        timestep = conditioning.batch(timestep) if timestep.ndim else timestep.expand(len(batch))
        scale = conditioning.batch(conditioning.guidance_scale.to(latents.device))
        return conditioning.combine(self.called(batch, timestep, conditioning.texts, scale), self.guided)

    def guided(self, without: Tensor, rows: Tensor, scale: Tensor) -> Tensor:
        """The guided velocity (`p2p.families.conditioning.Guidance`)."""
        return classifier_free(without, rows, scale)

    def predict_differentiable(self, latents: Tensor, timestep: Tensor, text: Encoded) -> Tensor:
        raise UnsupportedInversion(no_inversion(self.state, "null_text"))

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        vae = self.pipeline.vae

        def mean(rows: Tensor) -> Tensor:
            return vae.encode(rows.to(self.device, vae.dtype)).latent_dist.mean

        found = finite_or_again(mean, pixels * 2 - 1, vae, "the latents of the picture")
        return ((found - vae.config.shift_factor) * vae.config.scaling_factor).to(self.latent_dtype)

    def decode(self, latents: Tensor) -> Tensor:
        return self._decoded(latents)

    @torch.no_grad()
    def _decoded(self, latents: Tensor, runs: Sequence[int] | None = None) -> Tensor:
        vae = self.pipeline.vae

        def drawn(rows: Tensor) -> Tensor:
            scaled = rows.to(vae.dtype) / vae.config.scaling_factor + vae.config.shift_factor
            return vae.decode(scaled, return_dict=False)[0]

        pixels = finite_or_again(drawn, latents, vae, "the pixels", runs)
        return (pixels.float() / 2 + 0.5).clamp(0, 1)

    def finishing(self, height: int | None, width: int | None) -> Finishing:
        return Finishing()

    def finish(self, latents: Tensor, rows: Sequence[DrawnFrom]) -> Generator[int, None, Tensor]:
        yield from ()  # the autoencoder is one call
        return self._decoded(latents, [row.run for row in rows])


def t5_ids(tokenizer: Any, prompts: Sequence[str], limit: int) -> Tensor:
    """(prompts, limit): ids of T5, padded. Prompts were counted before, so none is cut."""
    return tokenizer(
        list(prompts), padding="max_length", max_length=limit, truncation=True, return_tensors="pt"
    ).input_ids


def clip_ids(tokenizer: Any, prompts: Sequence[str]) -> Tensor:
    """(prompts, 77): ids of CLIP, padded; of a longer prompt the first ones, as the pipelines have it."""
    return tokenizer(
        list(prompts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    ).input_ids
