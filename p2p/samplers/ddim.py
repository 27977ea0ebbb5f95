"""The DDIM sampler's way back: what every inversion of Gaussian latents here is built on.

A step of the sampler takes latents from one noise level to the next lower one. With the noise (epsilon) that the model
sees held fixed it is linear, and has an exact inverse (Song et al. 2021, section 4.3; Hertz et al. 2022, section 4).
"""

from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from p2p.errors import UnsupportedInversion
from p2p.samplers.predictions import PREDICTIONS, of_state, prediction_of
from p2p.samplers.signal import signal_around
from p2p.spec.inversions import CUTTING_OFF, cut_off_by


class DDIMWayBack:
    """A `WayBack` of DDIM.

    Raises:
        UnsupportedInversion: the scheduler is another one, or a setting of it loses what its way back needs.
    """

    def __init__(self, scheduler: Any) -> None:
        if not isinstance(scheduler, DDIMScheduler):
            raise UnsupportedInversion(
                f"{type(scheduler).__name__} cannot be run backwards: ask for the scheduler ddim, or give the model a "
                "DDIMScheduler, to invert pictures"
            )
        name, meant = prediction_of(scheduler)
        if meant.noise is None:
            known = " or ".join(kind for kind, meant in PREDICTIONS.items() if meant.noise is not None)
            raise UnsupportedInversion(
                f"a model that predicts {name!r} cannot be inverted: use one that predicts {known}"
            )
        self.scheduler, self._noise = scheduler, meant.noise

    def require_exact(self) -> None:
        for setting in CUTTING_OFF:
            if self.scheduler.config[setting]:
                raise UnsupportedInversion(cut_off_by(setting))

    def back(self, output: Tensor, index: int, latents: Tensor) -> Tensor:
        before, after = signal_around(self.scheduler, index)
        # A velocity's noise is taken at the level that the model was given, not at that of the latents: on the built-in
        # model the way there and back is much closer so.
        noise = self._noise(of_state(output, latents), latents, before**0.5, (1 - before) ** 0.5)
        clean = (latents - (1 - after) ** 0.5 * noise) / after**0.5
        return before**0.5 * clean + (1 - before) ** 0.5 * noise

    def noised(self, clean: Tensor, index: int, noise: Tensor) -> Tensor:
        before, _ = signal_around(self.scheduler, index)
        return before**0.5 * clean + (1 - before) ** 0.5 * noise

    def mean(self, output: Tensor, index: int, latents: Tensor) -> Tensor:
        nothing = torch.zeros_like(latents)
        timestep = self.scheduler.timesteps[index]
        output = of_state(output, latents)
        return self.scheduler.step(output, timestep, latents, eta=1.0, variance_noise=nothing, return_dict=False)[0]

    def deviation(self, index: int) -> float:
        """At eta 1 (Song et al. 2021, equation 16)."""
        before, after = signal_around(self.scheduler, index)
        return float(((1 - after) / (1 - before) * (1 - before / after)) ** 0.5)
