"""diffusers' schedulers of Gaussian noise as samplers: those that count alphas, and those that count sigmas.

They differ in how large the first latents are and in what the model is given, and say both themselves.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from p2p.samplers.base import WayBack
from p2p.samplers.ddim import DDIMWayBack
from p2p.samplers.predictions import of_state, prediction_of
from p2p.samplers.signal import signal_at
from p2p.schedulers import name_of, takes_variance


class GaussianSampler:
    """A `Sampler` of latents.

    Args:
        scheduler: with its timesteps set.
        device, dtype: of the run.
    """

    def __init__(self, scheduler: Any, device: torch.device, dtype: torch.dtype) -> None:
        self.scheduler, self.device, self.dtype = scheduler, device, dtype
        self.name, self.num_steps = name_of(scheduler), len(scheduler.timesteps)
        self._draws = "generator" in signature(scheduler.step).parameters
        self._takes_variance = takes_variance(scheduler)

    @cached_property
    def described(self) -> Any:
        config = {key: value for key, value in self.scheduler.config.items() if not key.startswith("_")}
        return [type(self.scheduler).__name__, config]

    def start(self, shape: tuple[int, int, int], streams: Sequence[torch.Generator]) -> Tensor:
        # Drawn from each stream, so that they stay together: a scheduler that adds noise draws on from here.
        first, *_ = [torch.randn((1, *shape), generator=stream) for stream in streams]
        return first

    def state(self, start: Tensor) -> Tensor:
        return start.to(self.device, self.dtype) * self.scheduler.init_noise_sigma

    def timestep(self, index: int) -> Tensor:
        return self.scheduler.timesteps[index]

    def seen(self, state: Tensor, index: int) -> Tensor:
        return self.scheduler.scale_model_input(state, self.timestep(index))

    def step(
        self,
        prediction: Tensor,
        index: int,
        state: Tensor,
        streams: Sequence[torch.Generator],
        noise: Tensor | None = None,
        source: Tensor | None = None,
    ) -> Tensor:
        added: dict[str, Any] = {"generator": list(streams)} if self._draws and streams else {}
        if noise is not None:  # found on the way back of DDIM, whose step alone takes it
            added = {"eta": 1.0, "variance_noise": noise.to(state)}
        if not self._takes_variance:
            prediction = of_state(prediction, state)
        return self.scheduler.step(prediction, self.timestep(index), state, **added, return_dict=False)[0]

    def clean(self, seen: Tensor, prediction: Tensor, index: int) -> Tensor:
        """The clean latents, without what a scheduler may do to them (clipping, thresholding).

        Schedulers compute the same for themselves and give it away in as many ways as there are of them, or not at
        all. What the model is given is of unit variance with each of them, so that one formula fits all.
        """
        signal = signal_at(self.scheduler, float(self.timestep(index)))
        _, meant = prediction_of(self.scheduler)
        return meant.clean(of_state(prediction, seen), seen, math.sqrt(signal), math.sqrt(1 - signal))

    def hidden(self, clean: Tensor, index: int, noise: Tensor) -> Tensor:
        signal = signal_at(self.scheduler, float(self.timestep(index)))
        return math.sqrt(signal) * clean + math.sqrt(1 - signal) * noise

    def drawn(self, before: Tensor, stream: torch.Generator, like: Tensor) -> Tensor | None:
        # Drawn again from a copy: schedulers hand out what they make of noise, never the noise.
        if torch.equal(before, stream.get_state()):
            return None
        again = torch.Generator()
        again.set_state(before)
        return torch.randn((1, *like.shape), generator=again, dtype=like.dtype)[0].to(like.device)

    def way_back(self) -> WayBack:
        return DDIMWayBack(self.scheduler)
