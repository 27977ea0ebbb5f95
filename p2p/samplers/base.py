"""What the denoising loop asks of a sampler, so that it need not know what a state is: latents, or a grid of tokens."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor


class Sampler(Protocol):
    """One run's sampler, its steps set. A state has a row for each picture, (rows, channels, height, width).

    Attributes:
        name: by which a spec asks for it; its scheduler's class where no name does.
        num_steps: model calls of the run; PNDM makes one more than it is asked for, Heun twice as many less one.
    """

    name: str
    num_steps: int

    @property
    def described(self) -> Any:
        """What decides about its steps, as JSON: a part of a kept source's key."""
        ...

    def start(self, shape: tuple[int, int, int], streams: Sequence[torch.Generator]) -> Tensor:
        """What the source and its targets start from, (1, channels, height, width), drawn from each stream."""
        ...

    def state(self, start: Tensor) -> Tensor:
        """The state before the first step, in the run's precision and on its device."""
        ...

    def timestep(self, index: int) -> Tensor:
        """The timestep that the model gets at a step, ()."""
        ...

    def seen(self, state: Tensor, index: int) -> Tensor:
        """The state as the model is given it."""
        ...

    def step(
        self,
        prediction: Tensor,
        index: int,
        state: Tensor,
        streams: Sequence[torch.Generator],
        noise: Tensor | None = None,
        source: Tensor | None = None,
    ) -> Tensor:
        """The state after a step.

        Args:
            prediction: the model's guided output for the rows.
            streams: one for each row, for samplers that draw at every step.
            noise: of one step, what an inversion found for it, instead of a drawn one: (1, channels, height, width) of
                latents, (1, 3, 1, entries) of tokens (`p2p.samplers.forced`).
            source: (1, channels, height, width), the source's state after the step; None if it is the first row.
        """
        ...

    def clean(self, seen: Tensor, prediction: Tensor, index: int) -> Tensor:
        """The clean picture that a prediction points at, as the family decodes it; of the state's shape."""
        ...

    def hidden(self, clean: Tensor, index: int, noise: Tensor) -> Tensor | None:
        """Clean latents under noise of unit deviation as the model is given them at a step; None of tokens.

        Depends on no step that was done.
        """
        ...

    def drawn(self, before: Tensor, stream: torch.Generator, like: Tensor) -> Tensor | None:
        """What a step drew from a stream since it was in the state `before`; None if nothing.

        Args:
            like: (channels, height, width), in the run's precision.
        """
        ...

    def way_back(self) -> Any:
        """What inversions are built on: a `WayBack` of latents, `p2p.samplers.forced.ForcedWay` of tokens.

        Raises:
            UnsupportedInversion: they have no inverse.
        """
        ...


class WayBack(Protocol):
    """A sampler's steps backwards, which inversions are built on. Steps are counted as they are sampled: 0 first."""

    def require_exact(self) -> None:
        """Raises `UnsupportedInversion` where a step loses what its way back needs.

        It matters to inversions whose source is sampled again. Others put the source back, or find noise for whatever
        a step makes.
        """
        ...

    def back(self, output: Tensor, index: int, latents: Tensor) -> Tensor:
        """The latents that a step would have brought to `latents`, had the model made `output` of them."""
        ...

    def noised(self, clean: Tensor, index: int, noise: Tensor) -> Tensor:
        """Clean latents with noise of unit deviation, as they are before a step."""
        ...

    def mean(self, output: Tensor, index: int, latents: Tensor) -> Tensor:
        """What a step that adds noise makes of latents before it adds any."""
        ...

    def deviation(self, index: int) -> float:
        """Of the noise that such a step adds; 0 where it ends without any."""
        ...
