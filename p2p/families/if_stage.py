"""A further stage of DeepFloyd IF: pixels made larger by a network that reads the prompt, too."""

from collections.abc import Sequence

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
        self.factor, self.steps = self.network.config.sample_size // small, steps

    @classmethod
    def load(cls, path: str, small: int, *, device: str, dtype: torch.dtype) -> "IFStage":
        """The stage of a diffusers directory; safetensors only, never a pickle."""
        without = dict.fromkeys(("text_encoder", "tokenizer", *IF_STAGE.unused))
        pipeline = IFSuperResolutionPipeline.from_pretrained(
            path, use_safetensors=True, dtype=dtype, requires_safety_checker=False, **without
        )
        pack(pipeline.to(device).unet)
        return cls(pipeline, small)

    def upscaled(self, small: Tensor, size: Sequence[int], streams: Sequence[torch.Generator]) -> Tensor:
        large = functional.interpolate(small, list(size), mode="bilinear", align_corners=True)
        noise = torch.cat([torch.randn((1, *large.shape[1:]), generator=stream) for stream in streams]).to(large)
        level = torch.full((len(large),), NOISE_LEVEL, device=large.device)
        return self._noising.add_noise(large, noise, timesteps=level)

    def predicted(
        self, state: Tensor, upscaled: Tensor, timestep: Tensor, index: int, rows: Sequence[DrawnFrom]
    ) -> Tensor:
        away = [(("away", place), row.unconditional) for place, row in enumerate(rows) if row.unconditional is not None]
        guided = [place for (_, place), _ in away]
        texts = [*away, *((("text", place), row.text) for place, row in enumerate(rows))]
        conditioning = Conditioning.of(texts, [GUIDANCE] * len(rows), guided)
        seen = conditioning.batch(torch.cat([state, upscaled], 1))
        level = torch.full((len(seen),), NOISE_LEVEL, device=seen.device)
        output = self.network(seen, timestep, conditioning.texts.context, class_labels=level, return_dict=False)[0]
        combined = conditioning.combine(of_state(output, state))
        return torch.cat([combined, output[len(guided) :, state.shape[1] :]], 1)
