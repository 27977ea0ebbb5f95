"""Weights in the place of some layers' own, for a while.

A layer's own weights are taken aside, never changed, so that they come back bit for bit. What was packed of them
(`p2p.families.packed`) goes and comes with them, and is not packed again.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from p2p.families.packed import PACKED_STATE, stands, watched


class OtherWeights:
    """Weights for some layers, of the shape, precision and device of their own, from which they were made."""

    def __init__(self, weights: Mapping[nn.Module, Tensor]) -> None:
        self._layers = list(weights)
        self._made_of = [watched(layer.weight) for layer in weights]
        self._held = [_Held(nn.Parameter(weight, requires_grad=False)) for weight in weights.values()]

    @property
    def are_current(self) -> bool:
        """Whether the layers' own weights are those that these were made from."""
        layers = zip(self._layers, self._made_of, strict=True)
        return all(stands(layer._parameters["weight"], state) for layer, state in layers)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The layers with these weights; afterwards they have their own again, the very same."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for place, (layer, held) in enumerate(zip(self._layers, self._held, strict=True)):
            packed = {name: layer.__dict__.pop(name) for name in PACKED_STATE if name in layer.__dict__}
            own = _Held(layer._parameters["weight"], packed)
            layer._parameters["weight"] = held.weight
            layer.__dict__.update(held.packed)
            self._held[place] = own


class _Held:
    """A weight that is not in its layer, and what was packed of it."""

    def __init__(self, weight: nn.Parameter | None, packed: dict[str, Any] | None = None) -> None:
        self.weight, self.packed = weight, packed or {}
