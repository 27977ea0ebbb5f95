"""The method as it is written down, with explicit probabilities: what the fused form is compared with.

Retyped from the formulas (`p2p.plan`), sharing no code with `p2p.attention`.
"""

import torch
from torch import Tensor


def probabilities(q: Tensor, k: Tensor) -> Tensor:
    return torch.softmax(torch.einsum("bhnd,bhmd->bhnm", q, k) / q.shape[-1] ** 0.5, -1)


def cross_attention(q: Tensor, k: Tensor, v: Tensor, plan, step: int, source: int, targets: list[int]) -> Tensor:
    """Every target's probabilities are edited and multiplied with its own values; other rows are plain."""
    probs = probabilities(q, k)
    cross, edited = plan.cross, probs.clone()
    for index, row in enumerate(targets):
        own, mapper = probs[row], cross.mapper[index]
        injected = torch.einsum("hps,st->hpt", probs[source], mapper) + (1 - cross.alphas[index]) * own
        injected = injected * cross.equalizer[index]
        active = cross.schedule[step, index]
        edited[row] = active * injected + (1 - active) * own
    return torch.einsum("bhnm,bhmd->bhnd", edited, v)


def self_attention(q: Tensor, k: Tensor, v: Tensor, plan, step: int, source: int, targets: list[int]) -> Tensor:
    probs = probabilities(q, k)
    for index, row in enumerate(targets):
        if plan.self_schedule[step, index]:
            probs[row] = probs[source]
    return torch.einsum("bhnm,bhmd->bhnd", probs, v)
