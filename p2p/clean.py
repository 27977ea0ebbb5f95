"""Where a run is heading: the clean latents that a step's prediction points at (x0 of Ho et al. 2020, equation 15)."""

import math
from typing import Any

import torch
from torch import Tensor


def clean_latents(scaled: Tensor, prediction: Tensor, timestep: Tensor, scheduler: Any) -> Tensor:
    """The clean latents by one prediction, without what a scheduler may do to them (clipping, thresholding).

    Schedulers compute the same for themselves and give it away in as many ways as there are of them, or not at all.
    What the model is given is of unit variance with each of them, so that one formula fits all.

    Args:
        scaled: (rows, channels, height, width), as the model was given them: `scheduler.scale_model_input`'s.
        prediction: of the same shape, the guided output of the model.
        timestep: at which the model was asked; Euler's may lie between two.
    """
    signal = _signal(float(timestep), scheduler.alphas_cumprod)
    alpha, sigma = math.sqrt(signal), math.sqrt(1 - signal)
    match scheduler.config.prediction_type:
        case "epsilon":
            return (scaled - sigma * prediction) / alpha
        case "v_prediction":  # Salimans and Ho 2022, appendix D
            return alpha * scaled - sigma * prediction
        case "sample":
            return prediction
    raise ValueError(f"no clean latents follow from the prediction type {scheduler.config.prediction_type!r}")


def _signal(timestep: float, alphas_cumprod: Tensor) -> float:
    """The cumulated alpha of a timestep, between two of them in proportion; never nothing, by which it is divided."""
    below = min(max(math.floor(timestep), 0), len(alphas_cumprod) - 1)
    above = min(below + 1, len(alphas_cumprod) - 1)
    low, high = float(alphas_cumprod[below]), float(alphas_cumprod[above])
    return max(low + (high - low) * (timestep - below), torch.finfo(torch.float32).eps)
