"""Flows: straight paths from noise to pictures, whose model says the velocity (Lipman et al. 2022; Liu et al. 2022).

Before a step, latents are (1 - sigma) * clean + sigma * noise. The model's output is noise - clean, and a step of
Euler's method takes latents from one sigma to the next lower one. Sigmas are shifted towards noise, of some models
further for larger pictures (Esser et al. 2024, section 5.3.2).
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from torch import Tensor

from p2p.errors import UnsupportedSampling
from p2p.samplers.base import WayBack

#: By what a manifest names it: `FlowMatchEulerDiscreteScheduler` of diffusers.
NAME = "flow_euler"


class FlowSampler:
    """A `Sampler` of flows.

    Args:
        scheduler: diffusers', with its sigmas set.
        device, dtype: of the run.
    """

    name = NAME

    def __init__(self, scheduler: Any, device: torch.device, dtype: torch.dtype) -> None:
        self.scheduler, self.device, self.dtype = scheduler, device, dtype
        self.sigmas: Tensor = scheduler.sigmas.to(device)
        self.num_steps = len(scheduler.timesteps)

    @cached_property
    def described(self) -> Any:
        config = {key: value for key, value in self.scheduler.config.items() if not key.startswith("_")}
        # The shift of some depends on the picture's size, which no field of the configuration says.
        return [type(self.scheduler).__name__, config, self.sigmas.tolist()]

    def start(self, shape: tuple[int, int, int], streams: Sequence[torch.Generator]) -> Tensor:
        first, *_ = [torch.randn((1, *shape), generator=stream) for stream in streams]
        return first

    def state(self, start: Tensor) -> Tensor:
        return start.to(self.device, self.dtype)

    def timestep(self, index: int) -> Tensor:
        return self.scheduler.timesteps[index]

    def seen(self, state: Tensor, index: int) -> Tensor:
        return state

    def step(
        self,
        prediction: Tensor,
        index: int,
        state: Tensor,
        streams: Sequence[torch.Generator],
        noise: Tensor | None = None,
        source: Tensor | None = None,
    ) -> Tensor:
        if noise is not None:
            way = self.way_back()
            drawn = way.mean(prediction, index, state) + way.deviation(index) * noise.to(state)
            return drawn.to(prediction.dtype)
        # In float32, as the scheduler does it.
        return (state.float() + self._length(index) * prediction).to(prediction.dtype)

    def clean(self, seen: Tensor, prediction: Tensor, index: int) -> Tensor:
        return seen - self.sigmas[index].to(seen.dtype) * prediction

    def hidden(self, clean: Tensor, index: int, noise: Tensor) -> Tensor:
        return self.way_back().noised(clean, index, noise)

    def drawn(self, before: Tensor, stream: torch.Generator, like: Tensor) -> Tensor | None:
        return None

    def way_back(self) -> WayBack:
        return FlowWayBack(self.sigmas)

    def _length(self, index: int) -> Tensor:
        """By how much a step changes sigma: below zero."""
        return self.sigmas[index + 1] - self.sigmas[index]


class FlowWayBack:
    """A `WayBack` of flows: with the velocity held fixed, a step has an exact inverse.

    Args:
        sigmas: (steps + 1,), the last one 0.
    """

    def __init__(self, sigmas: Tensor) -> None:
        self.sigmas = sigmas

    def require_exact(self) -> None:
        """No step loses anything."""

    def back(self, output: Tensor, index: int, latents: Tensor) -> Tensor:
        length = self.sigmas[index + 1] - self.sigmas[index]
        return (latents.float() - length * output).to(latents.dtype)

    def noised(self, clean: Tensor, index: int, noise: Tensor) -> Tensor:
        sigma = self.sigmas[index].to(clean.dtype)
        return (1 - sigma) * clean + sigma * noise

    def mean(self, output: Tensor, index: int, latents: Tensor) -> Tensor:
        clean = latents - self.sigmas[index].to(latents.dtype) * output
        return (1 - self.sigmas[index + 1].to(latents.dtype)) * clean

    def deviation(self, index: int) -> float:
        """Of a step that draws its noise anew: the next sigma, which is 0 of the last one."""
        return float(self.sigmas[index + 1])


def by_number(own: Any, steps: int, positions: int, device: torch.device) -> Any:
    """SD3's schedule: a number of steps, evenly spaced in what the scheduler was made with, and shifted.

    Args:
        own: the model's scheduler.
        positions: of the picture, on which a dynamic shift depends.
    """
    made = type(own).from_config(own.config)
    return _set(made, {"num_inference_steps": steps}, mu_of(made.config, positions, most=1.16), device)


def by_sigmas(
    own: Any, steps: int, positions: int, device: torch.device, even: Callable[[int], Any] | None = None
) -> Any:
    """FLUX.1's: sigmas from 1 to 1 / steps, and shifted.

    Args:
        even: makes them, where a pipeline rounds them otherwise.
    """
    made = type(own).from_config(own.config)
    return _set(made, {"sigmas": (even or _even)(steps)}, mu_of(made.config, positions, most=1.15), device)


def by_steps_too(own: Any, steps: int, positions: int, device: torch.device) -> Any:
    """FLUX.2's: the same sigmas, and a shift that depends on the number of steps as well."""
    made = type(own).from_config(own.config)
    return _set(made, {"sigmas": _even(steps)}, compute_empirical_mu(positions, steps), device)


def _even(steps: int) -> np.ndarray:
    return np.linspace(1.0, 1 / steps, steps)


def mu_of(config: Any, positions: int, most: float) -> float:
    """The shift of a picture of so many positions: a straight line between two sizes (`calculate_shift` of diffusers).

    Args:
        most: the shift of the larger size, where the configuration does not say it.
    """
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    base, largest = config.get("base_shift", 0.5), config.get("max_shift", most)
    # In the order in which diffusers computes it: a shift that is rounded otherwise moves every sigma.
    slope = (largest - base) / (high - low)
    return positions * slope + (base - slope * low)


def _set(made: Any, sigmas: dict[str, Any], mu: float, device: torch.device) -> Any:
    shift = {"mu": mu} if made.config.use_dynamic_shifting else {}
    if made.config.shift_terminal and len(sigmas.get("sigmas", ())) == 1:
        # It is stretched from the first sigma to the last one, which would be both.
        raise UnsupportedSampling(f"{NAME} cannot make 1 step of this model, whose last one is set apart: ask for more")
    made.set_timesteps(**sigmas, device=device, **shift)
    if not bool((made.sigmas[1:] < made.sigmas[:-1]).all()):
        number = len(made.timesteps)
        raise UnsupportedSampling(f"{NAME} cannot make {number} steps of this model: two have one sigma. Ask for fewer")
    return made
