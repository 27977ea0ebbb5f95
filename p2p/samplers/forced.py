"""A source that draws given tokens, and the noise with which the sampler would have drawn them (hindsight noise)."""

from typing import Protocol

import torch
from torch import Tensor

from p2p.samplers.token_noise import Drawn, drawn_of, hindsight, kept, probabilities_of


class MasksAgain(Protocol):
    """The part of a token sampler that decides which positions stay masked."""

    num_steps: int
    masked_token: int

    def masked_again(
        self, tokens: Tensor, probabilities: Tensor, masked: Tensor, index: int, drawn: Drawn
    ) -> Tensor: ...


class ForcedWay:
    """Steps that end in given tokens. The model and the seed decide which positions stay masked, as in any run."""

    def __init__(self, sampler: MasksAgain) -> None:
        self.sampler = sampler

    def start(self, tokens: Tensor) -> Tensor:
        """All masked, of the shape of the tokens, (1, 1, height, width)."""
        return torch.full_like(tokens, self.sampler.masked_token)

    def step(
        self,
        prediction: Tensor,
        index: int,
        state: Tensor,
        tokens: Tensor,
        stream: torch.Generator,
        tolerance: float,
    ) -> tuple[Tensor, Tensor]:
        """The grid after a step, and what is kept of its noise in hindsight (`p2p.samplers.token_noise.kept`).

        Args:
            prediction: the source's guided logits, (1, codebook, height, width).
            state: before the step.
            tokens: that it is to draw.
            tolerance: of what is kept.
        """
        probabilities, wanted = probabilities_of(prediction), tokens.flatten(1)
        last = index == self.sampler.num_steps - 1
        drawn = drawn_of(stream, wanted.shape[1], probabilities.shape[-1], last=last).to(prediction.device)
        masked = state.flatten(1) == self.sampler.masked_token
        after = self.sampler.masked_again(wanted, probabilities, masked, index, drawn)
        found = hindsight(drawn.race, probabilities[0], wanted[0])
        return after.view_as(state), kept(drawn.race, found, wanted[0], tolerance)
