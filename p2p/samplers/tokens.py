"""Grids of tokens: masked positions draw one, then the least certain are masked again (MaskGIT, Chang et al. 2022).

The source and its targets share the noise of a position. `torch.multinomial` takes the argmax of p / e, e exponential:
the Gumbel-max trick. So rows that share e draw the same token wherever they expect the same. The steps are those of
diffusers' `AmusedScheduler`, token for token; its own `step` draws the rows one after the other, and shares nothing.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from p2p.errors import UnsupportedSampling
from p2p.samplers.forced import ForcedWay
from p2p.samplers.token_noise import LEAST, Drawn, drawn_of, found_noise, probabilities_of
from p2p.schedulers import name_of
from p2p.spec import TokenOrder

#: By order, how many times as likely a target takes the token that its source settles at that position. 20 is about
#: three nats: a token that the edited prompt rules out is less likely than that by far (docs/quality.md).
HELD: Mapping[TokenOrder, float] = {"own": 1.0, "source": 1.0, "held": 20.0}


class TokenSampler:
    """A `Sampler` of token grids, (rows, 1, height, width) int64.

    Args:
        scheduler: an `AmusedScheduler` with its timesteps set.
        device: of the run.
        order: "own" masks each row again by its own confidence. "source" masks a target where its source is masked.
            "held" does too, and prefers what the source settles (`HELD`).
    """

    def __init__(self, scheduler: Any, device: torch.device, order: TokenOrder = "own") -> None:
        self.scheduler, self.device, self.order = scheduler, device, order
        self.name, self.num_steps = name_of(scheduler), len(scheduler.timesteps)
        self.masked_token = int(scheduler.config.mask_token_id)

    @cached_property
    def described(self) -> Any:
        # Without the order: a source's own run is the same with each.
        config = {key: value for key, value in self.scheduler.config.items() if not key.startswith("_")}
        return [type(self.scheduler).__name__, config]

    def start(self, shape: tuple[int, int, int], streams: Sequence[torch.Generator]) -> Tensor:
        # Nothing is drawn before the first step, as the pipeline has it.
        return torch.full((1, *shape), self.masked_token)

    def state(self, start: Tensor) -> Tensor:
        if start.is_floating_point() or start.shape[1] != 1:
            raise UnsupportedSampling(
                f"this model draws tokens and starts from a grid of whole numbers, and {start.dtype} of the shape "
                f"{tuple(start.shape)} was given as noise: leave it out, the seed decides all"
            )
        return start.to(self.device)

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
        drawn = self._draw(index, prediction, streams[0])
        probabilities = probabilities_of(prediction)
        race = drawn.race if noise is None else found_noise(drawn.race, noise)
        scores = probabilities / race
        if noise is not None:
            # A photo's token of no probability in float32 has the race 0, and wins with it: not a number otherwise.
            scores = scores.nan_to_num(nan=torch.inf, posinf=torch.inf)
        grid = state.flatten(1)
        masked = grid == self.masked_token
        tokens = torch.where(masked, scores.argmax(-1), grid)
        self._foretold = tokens.view_as(state)
        after = self.masked_again(tokens, probabilities, masked, index, drawn)
        if self.order == "own":
            return after.view_as(state)
        first = 1 if source is None else 0
        settled = after[:1] if source is None else source.flatten(1).to(after)
        if HELD[self.order] > 1:
            # Behind what was drawn without it: which tokens the source settles is not known before.
            held = torch.where(masked[first:], self._held(scores[first:], settled), grid[first:])
            tokens = torch.cat([tokens[:first], held])
            self._foretold = tokens.view_as(state)
        after = torch.where(settled == self.masked_token, settled, tokens[first:])
        return torch.cat([settled[:first], after]).view_as(state)

    def _held(self, scores: Tensor, settled: Tensor) -> Tensor:
        """What targets draw if they hold on to what the source settles, (targets, positions).

        Args:
            scores: (targets, positions, codebook), probabilities by the race.
            settled: (1, positions), the source's tokens after the step, or masked.
        """
        known = settled != self.masked_token
        at = torch.where(known, settled, 0).expand(len(scores), -1)[..., None]
        times = torch.where(known, HELD[self.order], 1.0).to(scores)[..., None]
        return scores.scatter(-1, at, scores.gather(-1, at) * times).argmax(-1)

    def clean(self, seen: Tensor, prediction: Tensor, index: int) -> Tensor:
        """What the step drew before it masked again: a masked token is no code, and cannot be decoded."""
        return self._foretold

    def hidden(self, clean: Tensor, index: int, noise: Tensor) -> None:
        return None

    def drawn(self, before: Tensor, stream: torch.Generator, like: Tensor) -> Tensor | None:
        return None  # drawn again from the seed, in the same amount whatever the model says

    def way_back(self) -> ForcedWay:
        return ForcedWay(self)

    def masked_again(self, tokens: Tensor, probabilities: Tensor, masked: Tensor, index: int, drawn: Drawn) -> Tensor:
        """The grids after a step, (rows, positions): the least certain of what it drew are masked again.

        Args:
            tokens: (rows, positions), drawn, or known before.
            masked: which were masked before the step.
        """
        if index == self.num_steps - 1:
            return tokens
        chosen = probabilities.gather(-1, tokens[..., None])[..., 0]
        chosen = torch.where(masked, chosen, torch.finfo(chosen.dtype).max)  # those known before stay
        confidence = chosen.clamp(LEAST).log() + self.scheduler.temperatures[index].to(chosen) * drawn.gumbel
        # Never as many as before, and at least one: the scheduler masks even where all were known.
        left = (masked.sum(-1) - 1).clamp(max=self._left(index, tokens.shape[1])).clamp(min=1)
        cut = confidence.sort(-1).values.gather(1, left[:, None])
        return torch.where(confidence < cut, self.masked_token, tokens)

    def _draw(self, index: int, prediction: Tensor, stream: torch.Generator) -> Drawn:
        codebook, positions = prediction.shape[1], prediction.shape[2:].numel()
        return drawn_of(stream, positions, codebook, last=index == self.num_steps - 1).to(prediction.device)

    def _left(self, index: int, positions: int) -> int:
        """How many stay masked after a step, computed as the scheduler does it."""
        ratio = torch.tensor(index + 1) / self.num_steps
        linear = self.scheduler.config.masking_schedule == "linear"
        share = 1 - ratio if linear else torch.cos(ratio * math.pi / 2)
        return int((positions * share).floor())
