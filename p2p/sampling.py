"""The denoising loop, a generator: progress, cancelling and previews are the caller's business."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl, controlled
from p2p.blend import local_blend
from p2p.families.base import Conditioning, ModelFamily


@dataclass(frozen=True)
class DenoisingStep:
    """One step that is done.

    Attributes:
        index: from 0.
        num_steps: of the run.
        latents: (1 + targets, channels, height, width) after the step and its local blend.
    """

    index: int
    num_steps: int
    latents: Tensor


def starting_noise(shape: tuple[int, int, int], seed: int) -> Tensor:
    """The one noise that the source and all its targets start from, (1, channels, height, width) float32.

    Drawn on the CPU, so that a seed means the same picture on every device.
    """
    return torch.randn((1, *shape), generator=torch.Generator().manual_seed(seed))


def denoise(
    family: ModelFamily,
    scheduler,
    conditioning: Conditioning,
    noise: Tensor,
    control: AttentionControl,
    guidance_scale: float,
) -> Iterator[DenoisingStep]:
    """Yields after each step; the model's own attention is back in place whenever the generator is not running.

    Args:
        scheduler: with its timesteps set.
        noise: (1, channels, height, width), of unit deviation.
    """
    processors = family.attention_processors(control)
    steps = len(scheduler.timesteps)
    latents = noise.to(family.device, family.dtype).expand(len(conditioning.text), -1, -1, -1)
    latents = latents * scheduler.init_noise_sigma
    for index, timestep in enumerate(scheduler.timesteps):
        control.at_step(index)
        # Installed for the model call alone: a caller that stops listening between steps leaves nothing behind.
        with controlled(family.network, processors):
            scaled = scheduler.scale_model_input(latents, timestep)
            prediction = family.predict(scaled, timestep, conditioning, guidance_scale)
        latents = scheduler.step(prediction, timestep, latents, return_dict=False)[0]
        control.end_step()
        if control.plan.blend is not None and control.maps is not None:
            latents = local_blend(latents, control.maps.mean(), control.plan.blend, index)
        yield DenoisingStep(index, steps, latents)
