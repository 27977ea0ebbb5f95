"""The DDIM sampler and its way back: what every inversion here is built on.

A step of the sampler takes latents from one noise level to the next lower one. With the noise (epsilon) that the model
sees held fixed it is linear, and has an exact inverse (Song et al. 2021, section 4.3; Hertz et al. 2022, section 4).
"""

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from p2p.errors import UnsupportedInversion

#: What a model predicts, as the noise it sees: of its output, the latents, and alphas_cumprod at its timestep.
EPSILON = {
    "epsilon": lambda output, latents, alpha: output,
    "v_prediction": lambda output, latents, alpha: alpha**0.5 * output + (1 - alpha) ** 0.5 * latents,
}


def check(scheduler) -> None:
    """Refuses a scheduler whose steps have no inverse of this kind.

    Raises:
        UnsupportedInversion: naming the scheduler, or the setting of it.
    """
    if not isinstance(scheduler, DDIMScheduler):
        raise UnsupportedInversion(
            f"{type(scheduler).__name__} cannot be run backwards: ask for the scheduler ddim, or give the model a "
            "DDIMScheduler, to invert pictures"
        )
    for setting in ("clip_sample", "thresholding"):
        if scheduler.config[setting]:
            raise UnsupportedInversion(
                f"the scheduler's {setting} loses what it cuts off, so its steps have no inverse: set it to false"
            )
    if scheduler.config.prediction_type not in EPSILON:
        raise UnsupportedInversion(
            f"a model that predicts {scheduler.config.prediction_type!r} cannot be inverted: "
            f"use one that predicts {' or '.join(EPSILON)}"
        )


def alphas(scheduler: DDIMScheduler, index: int) -> tuple[Tensor, Tensor]:
    """alphas_cumprod of the latents before and after a step, exactly as the scheduler's own step reads them.

    Where the number of steps does not divide the training's timesteps, a step does not end at the next one's level.
    """
    timestep = int(scheduler.timesteps[index])
    after = timestep - scheduler.config.num_train_timesteps // len(scheduler.timesteps)
    table = scheduler.alphas_cumprod
    return table[timestep], table[after] if after >= 0 else scheduler.final_alpha_cumprod


def step_back(scheduler: DDIMScheduler, output: Tensor, index: int, latents: Tensor) -> Tensor:
    """The latents that a step would have brought to `latents`, had the model seen the same noise in them.

    Args:
        output: the model's, of `latents` at the step's timestep.
        index: of the step.
    """
    before, after = alphas(scheduler, index)
    # A velocity's noise is taken at the level that the model was given, not at that of the latents: on the built-in
    # model the way there and back is much closer so.
    epsilon = EPSILON[scheduler.config.prediction_type](output, latents, before)
    clean = (latents - (1 - after) ** 0.5 * epsilon) / after**0.5
    return before**0.5 * clean + (1 - before) ** 0.5 * epsilon


def deviation(scheduler: DDIMScheduler, index: int) -> float:
    """Of the noise that a step adds at eta 1 (Song et al. 2021, equation 16); 0 where it ends without any noise."""
    before, after = alphas(scheduler, index)
    return float(((1 - after) / (1 - before) * (1 - before / after)) ** 0.5)


def mean(scheduler: DDIMScheduler, output: Tensor, index: int, latents: Tensor) -> Tensor:
    """What a step at eta 1 makes of latents before it adds its noise."""
    return scheduler.step(
        output,
        scheduler.timesteps[index],
        latents,
        eta=1.0,
        variance_noise=torch.zeros_like(latents),
        return_dict=False,
    )[0]
