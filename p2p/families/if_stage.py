"""A further stage of DeepFloyd IF: pixels made larger by a network that reads the prompt, too."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from diffusers import IFSuperResolutionPipeline
from torch import Tensor
from torch.nn import functional

from p2p.families.base import DrawnFrom
from p2p.families.conditioning import Conditioning
from p2p.families.described import described
from p2p.families.packed import pack
from p2p.layouts.base import require
from p2p.layouts.deepfloyd_if import IF_STAGE
from p2p.samplers.predictions import of_state

#: As the pipeline has it by default: steps, guidance, and the noise that the small picture is given (of 1000).
STEPS, GUIDANCE, NOISE_LEVEL = 50, 4.0, 250


class _Seen(NamedTuple):
    upscaled: Tensor
    conditioning: Conditioning


class IFStage:
    """A `Stage` of `p2p.families.super_resolution`.

    Args:
        pipeline: whose UNet and schedulers are used; texts come encoded.
        small: pixels a side that the stage before makes.
    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.deepfloyd_if.IF_STAGE`).
    """

    def __init__(self, pipeline: IFSuperResolutionPipeline, small: int, steps: int = STEPS) -> None:
        require("deepfloyd_if", IF_STAGE, described(pipeline))
        self.network, self.scheduler, self._noising = (
            pipeline.unet, pipeline.scheduler, pipeline.image_noising_scheduler
        )  # fmt: skip
        self.network.requires_grad_(False)
        self.networks = (self.network,)
        self.factor, self.steps = self.network.config.sample_size // small, steps

    @classmethod
    def load(cls, path: str, small: int, *, variant: str | None, device: str, dtype: torch.dtype) -> "IFStage":
        """The stage of a diffusers directory; safetensors only, never a pickle."""
        without = dict.fromkeys(("text_encoder", "tokenizer", *IF_STAGE.unused))
        pipeline = IFSuperResolutionPipeline.from_pretrained(
            path, variant=variant, use_safetensors=True, dtype=dtype, requires_safety_checker=False, **without
        )
        pack(pipeline.to(device).unet)
        return cls(pipeline, small)

    def noise_shape(self, small: Tensor) -> tuple[int, int, int]:
        return small.shape[1], small.shape[2] * self.factor, small.shape[3] * self.factor

    def begun(self, small: Tensor, streams: Sequence[torch.Generator], rows: Sequence[DrawnFrom]) -> _Seen:
        size = self.noise_shape(small)[1:]
        large = functional.interpolate(small, size, mode="bilinear", align_corners=True)
        noise = torch.cat([torch.randn((1, *large.shape[1:]), generator=stream) for stream in streams]).to(large)
        level = torch.full((len(large),), NOISE_LEVEL, device=large.device)
        away = [(("away", place), row.unconditional) for place, row in enumerate(rows) if row.unconditional is not None]
        texts = [*away, *((("text", place), row.text) for place, row in enumerate(rows))]
        conditioning = Conditioning.of(texts, [GUIDANCE] * len(rows), [place for (_, place), _ in away])
        return _Seen(self._noising.add_noise(large, noise, timesteps=level), conditioning)

    def predicted(self, state: Tensor, seen: _Seen, timestep: Tensor, index: int) -> Tensor:
        conditioning = seen.conditioning
        batch = conditioning.batch(torch.cat([state, seen.upscaled], 1))
        level = torch.full((len(batch),), NOISE_LEVEL, device=batch.device)
        output = self.network(batch, timestep, conditioning.texts.context, class_labels=level, return_dict=False)[0]
        # As in the first stage: each row keeps its own variance.
        variance = output[len(conditioning.guided) :, state.shape[1] :]
        return torch.cat([conditioning.combine(of_state(output, state)), variance], 1)

    def pixels(self, state: Tensor) -> Tensor:
        return state
