"""What a model's output means (`prediction_type`): the clean latents and the noise that follow from it.

What a model is given is signal * clean + deviation * noise, of unit variance with every scheduler here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

#: Of (output, what the model was given, signal, deviation); the last two are numbers or tensors.
Formula = Callable[[Tensor, Tensor, Any, Any], Tensor]


@dataclass(frozen=True)
class Prediction:
    """One kind of output.

    Attributes:
        clean: the clean latents (x0 of Ho et al. 2020, equation 15).
        noise: the noise; None if no inversion is built on it.
    """

    clean: Formula
    noise: Formula | None = None


PREDICTIONS: Mapping[str, Prediction] = {
    "epsilon": Prediction(
        clean=lambda output, seen, signal, deviation: (seen - deviation * output) / signal,
        noise=lambda output, seen, signal, deviation: output,
    ),
    "v_prediction": Prediction(  # Salimans and Ho 2022, appendix D
        clean=lambda output, seen, signal, deviation: signal * seen - deviation * output,
        noise=lambda output, seen, signal, deviation: signal * output + deviation * seen,
    ),
    "sample": Prediction(clean=lambda output, seen, signal, deviation: output),
}


def of_state(output: Tensor, state: Tensor) -> Tensor:
    """What a model predicts of the state itself: what else it predicts, such as a variance, are channels behind it."""
    return output[:, : state.shape[1]]


def prediction_of(scheduler: Any) -> tuple[str, Prediction]:
    """What the output of a scheduler's model means, and its name.

    Raises:
        ValueError: there is no formula for it.
    """
    name = scheduler.config.prediction_type
    if name not in PREDICTIONS:
        raise ValueError(f"no clean latents follow from the prediction type {name!r}")
    return name, PREDICTIONS[name]
