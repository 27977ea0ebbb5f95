"""What token samplers draw, once for all rows; and the noise with which given tokens would have been drawn.

Given that y won the race at time m = e_y, the others arrive at m + Exp(p_k): with the seed's own e that is exactly

    e'_y = p_y e_y        e'_k = e_k + p_k e_y

It always draws y. If y is what the model draws anyway, e' is exponential again. This is edit-friendly inversion for
tokens, and hindsight Gumbel sampling (Ravfogel et al. 2411.07180) in one line.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Below it, logarithms are cut off, as `AmusedScheduler` does it.
LEAST = 1e-20


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a step draws from a stream, the same for all rows and whatever the model says.

    Attributes:
        race: (positions, codebook), exponential: the token of the least race / p is drawn.
        gumbel: (positions,), of the order; None at the last step, which masks nothing.
    """

    race: Tensor
    gumbel: Tensor | None

    def to(self, device: torch.device) -> "Drawn":
        return Drawn(self.race.to(device), None if self.gumbel is None else self.gumbel.to(device))


def drawn_of(stream: torch.Generator, positions: int, codebook: int, *, last: bool) -> Drawn:
    """What a step takes from a stream, in the order of `AmusedScheduler.step`. Streams are on the CPU."""
    race = torch.empty(positions, codebook).exponential_(1, generator=stream)
    if last:
        return Drawn(race, None)
    uniform = torch.rand(positions, generator=stream)
    return Drawn(race, -torch.log((-torch.log(uniform.clamp(LEAST))).clamp(LEAST)))


def probabilities_of(prediction: Tensor) -> Tensor:
    """(rows, positions, codebook) float32, of logits (rows, codebook, height, width).

    A draw is an argmax: what half precision rounds away is another token, and the network is shown that one next.
    """
    return prediction.float().flatten(2).transpose(1, 2).softmax(-1)


def hindsight(race: Tensor, probabilities: Tensor, tokens: Tensor) -> Tensor:
    """The noise with which the tokens are drawn, (positions, codebook).

    Args:
        race: the seed's, (positions, codebook), exponential.
        probabilities: (positions, codebook), of the source.
        tokens: (positions,).
    """
    at = tokens[:, None]
    won = race.gather(1, at)
    return (race + probabilities * won).scatter(1, at, probabilities.gather(1, at) * won)


def kept(race: Tensor, found: Tensor, tokens: Tensor, tolerance: float) -> Tensor:
    """What is kept of a step's noise in hindsight, (3, entries) float32: of each entry position, token and value.

    Whole, a step's noise takes 32 MiB at 1024 positions of a codebook of 8192. Most entries differ from the seed's own
    by very little: those are left to the seed.

    Args:
        race: the seed's, (positions, codebook).
        found: in hindsight, of the same shape.
        tokens: (positions,), whose entries are always kept.
        tolerance: entries that differ by a smaller share are left out. Up to 1 the tokens still win: an entry e_k is
            left out if p_k / e_k < tolerance / e_y, and 1 / e_y is what y wins with.
    """
    differs = (found - race) >= tolerance * race
    differs.scatter_(1, tokens[:, None], True)
    positions, codes = differs.nonzero(as_tuple=True)
    # Apart, for as float32 whole numbers are exact below 2 ** 24 alone: 2048 positions of a codebook of 8192.
    return torch.stack([positions.float(), codes.float(), found[positions, codes]])


def stacked(steps: Sequence[Tensor]) -> Tensor:
    """What is kept of all steps, (steps, 3, 1, entries): those with fewer say their first one again."""
    most = max(each.shape[1] for each in steps)
    return torch.stack([torch.cat([each, each[:, :1].expand(-1, most - each.shape[1])], 1) for each in steps])[
        :, :, None
    ]


def found_noise(race: Tensor, kept: Tensor) -> Tensor:
    """A step's noise, (positions, codebook), of the seed's own and of what `kept` kept, (1, 3, 1, entries)."""
    positions, codes, values = kept[0, :, 0].to(race.device)
    return race.index_put((positions.long(), codes.long()), values.to(race))
