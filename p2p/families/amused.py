"""aMUSEd and everything of its layout: a transformer that says of every masked token of a picture what it could be."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl
from p2p.attention.processors import ControlledAttention, layers_of
from p2p.attention.sites import AttentionSite, Keys, Levels
from p2p.errors import UnsupportedInversion, UnsupportedModel, UnsupportedSampling, UnsupportedSize
from p2p.families.amused_parts import AmusedParts
from p2p.families.base import DrawnFrom, Finishing
from p2p.families.conditioning import Conditioning
from p2p.families.described import described
from p2p.families.encoded import Encoded
from p2p.families.learned import learn_words
from p2p.families.lora_shelf import LoraShelf
from p2p.families.loras import fuse, require_peft
from p2p.families.packed import pack
from p2p.families.revision import revision_of
from p2p.families.source import source_of
from p2p.families.text_ids import padded_ids, under_one_prompt
from p2p.finite import HALF, finite_or_again
from p2p.layouts.amused import AMUSED
from p2p.layouts.base import PIPELINE, Part, beyond_half, require
from p2p.layouts.model_files import ModelFiles
from p2p.samplers.tokens import TokenSampler
from p2p.spec import SchedulerName, State, TokenOrder
from p2p.spec.states import no_inversion, no_scheduler

#: The name of the prompts' single vectors, as the network's call has it: (rows, channels).
POOLED = "pooled_text_emb"
#: Micro-conditioning beside the size: not cropped, and the aesthetic score that the pipeline asks for.
_CROP_AND_SCORE = (0, 0, 6)


class Amused:
    """An `AmusedPipeline`'s parts, as a `ModelFamily`. In latents' place it has grids of tokens, of one channel.

    Args:
        pipeline: `AmusedParts`, or anything with the same parts.
    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.amused`).
    """

    state: ClassVar[State] = "tokens"
    reads_chunks: ClassVar[bool] = True

    def __init__(self, pipeline: Any, revision: str = "unknown") -> None:
        parts = {**described(pipeline), PIPELINE: Part(AMUSED.kinds[PIPELINE])}
        require("amused", AMUSED, parts)
        self.pipeline, self.revision, self.loras = pipeline, revision, LoraShelf(pipeline)
        self.network, self.vq, self.tokenizer = pipeline.transformer, pipeline.vqvae, pipeline.tokenizer
        self.network.requires_grad_(False)
        self.device, self.dtype = self.network.device, self.network.dtype
        self.codebook = self.network.config.codebook_size
        self._require_masked_token()
        self.scale_factor = 2 ** (len(self.vq.config.block_out_channels) - 1)
        self._cell = AMUSED.cell(parts)
        if self.vq.dtype in HALF and self.vq.config.force_upcast:
            self.vq.to(torch.float32)
        self.tokenizers = (self.tokenizer,)
        limit = AMUSED.tokens(parts) or self.tokenizer.model_max_length
        self.tokenizer.model_max_length = min(self.tokenizer.model_max_length, limit)
        self.attention_layers = layers_of(self.network)
        # Attention runs after the network samples down, and before it samples up again: at one level.
        factor = 2 if self.network.config.downsample else 1
        sites = tuple(AttentionSite(name, _keys(name), factor) for name in self.attention_layers)
        self._sites, self.map_factor = Levels(maps=factor, self_attention=factor).of(sites), factor

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
        source = source_of("amused", files, scheduler)
        if found := list(beyond_half(AMUSED, source.parts, str(dtype).removeprefix("torch."))):
            raise UnsupportedModel("; ".join(map(str, found)))
        require_peft(files.loras)
        parts = AmusedParts.load(source, device=device, dtype=dtype)
        for lora in files.loras:
            fuse(parts, lora)
        learn_words(parts, files.embeddings, AMUSED)
        for network in (parts.transformer, parts.vqvae.decoder):
            pack(network)
        made = cls(parts, revision_of(files, dtype))
        made.loras = LoraShelf(parts, files.lora_choices)
        return made

    def _require_masked_token(self) -> None:
        """The masked token is one that the network has a place for, and no code of a picture."""
        masked, known = self.pipeline.scheduler.config.mask_token_id, self.network.config.vocab_size
        if not self.codebook <= masked < known:
            raise UnsupportedModel(
                f"scheduler has mask_token_id {masked}, and amused handles {self.codebook} to {known - 1}: between the "
                f"codebook's {self.codebook} tokens and the network's {known}"
            )

    @property
    def networks(self) -> Sequence[torch.nn.Module]:
        return [part for part in self.pipeline.components.values() if isinstance(part, torch.nn.Module)]

    def attention_sites(self) -> Sequence[AttentionSite]:
        return self._sites

    def attention_processors(self, control: AttentionControl) -> Mapping[str, ControlledAttention]:
        layers = self.attention_layers
        return {site.name: ControlledAttention(site, control, layers[site.name].processor) for site in self._sites}

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        native = self.network.config.sample_size * self.scale_factor
        sides = [native if side is None else side for side in (height, width)]
        if any(side % self._cell for side in sides):
            raise UnsupportedSize(f"{sides[0]}x{sides[1]} pixels: both sides must be multiples of {self._cell}")
        return 1, sides[0] // self.scale_factor, sides[1] // self.scale_factor

    def sampler(
        self, steps: int, name: SchedulerName | None, shape: Sequence[int], order: TokenOrder | None = None
    ) -> TokenSampler:
        if name is not None:
            raise UnsupportedSampling(no_scheduler(name))
        own = self.pipeline.scheduler
        made = type(own).from_config(own.config)
        made.set_timesteps(steps, device=self.device)
        return TokenSampler(made, self.device, order or "own")

    def guides(self, guidance_scale: float) -> bool:
        return guidance_scale > 1

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        ids = padded_ids(self.tokenizer, prompts, chunks)
        said = self.pipeline.text_encoder(ids.to(self.device), output_hidden_states=True)
        # The last state but one, without the final norm; of several chunks the first one's vector, as SDXL has it.
        states = under_one_prompt(said.hidden_states[-2], chunks)
        pooled = said.text_embeds.unflatten(0, (-1, chunks))[:, 0]
        return Encoded(states.to(self.dtype), {POOLED: pooled.to(self.dtype)})

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        return self.encode_prompts([prompt], chunks)

    @torch.no_grad()
    def predict(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        # The network is not told the step: how much is masked says it.
        batch, texts = conditioning.batch(latents), conditioning.texts
        height, width = (side * self.scale_factor for side in latents.shape[-2:])
        # The width first, as the pipeline has it.
        micro = torch.tensor([[width, height, *_CROP_AND_SCORE]], device=self.device, dtype=torch.float32)
        logits = self.network(batch[:, 0], texts.context, **texts.beside, micro_conds=micro.expand(len(batch), -1))
        return conditioning.combine(logits.float())

    def predict_differentiable(self, latents: Tensor, timestep: Tensor, text: Encoded) -> Tensor:
        raise UnsupportedInversion(no_inversion(self.state, "null_text"))

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Tokens of pictures, (pictures, 1, height, width) int64: of each cell the nearest code."""

        def said(rows: Tensor) -> Tensor:
            return self.vq.encode(rows.to(self.device, self.vq.dtype)).latents

        found = finite_or_again(said, pixels, self.vq, "the tokens of the picture").to(self.vq.dtype)
        _, _, (_, _, codes) = self.vq.quantize(found)
        return codes.reshape(len(pixels), 1, *found.shape[-2:])

    def decode(self, latents: Tensor) -> Tensor:
        return self._decoded(latents)

    @torch.no_grad()
    def _decoded(self, grids: Tensor, runs: Sequence[int] | None = None) -> Tensor:
        if bool((grids >= self.codebook).any()):
            # On a GPU the lookup would end the program.
            raise ValueError("a grid with masked tokens is no picture yet: decode what its step foretold")
        width = self.vq.quantize.embedding.weight.shape[1]

        def drawn(rows: Tensor) -> Tensor:
            shape = (len(rows), *rows.shape[-2:], width)
            return self.vq.decode(rows[:, 0], force_not_quantize=True, shape=shape).sample

        pixels = finite_or_again(drawn, grids, self.vq, "the pixels", runs)
        return pixels.float().clamp(0, 1)

    def finishing(self, height: int | None, width: int | None) -> Finishing:
        return Finishing()

    def finish(self, latents: Tensor, rows: Sequence[DrawnFrom]) -> Generator[int, None, Tensor]:
        yield from ()  # the autoencoder is one call
        return self._decoded(latents, [row.run for row in rows])


def _keys(name: str) -> Keys:
    """What a layer attends to. Both layers of a convolutional block look at the text, `attn1` too."""
    return Keys.TEXT if ".attn2." in name or ".attention_blocks." in name else Keys.IMAGE
