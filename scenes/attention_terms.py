"""What training asks of the cross-attention: a thing's words look at the whole of their thing, and nowhere else.

Only that makes maps, local blend and faders work on so small a network; the loss of the picture asks for none of it.
"""

import torch
from torch.nn import functional

#: Of each of a thing's pixels' attention, the share that its words should have at least.
WORDS_SHARE = 0.4


class CatchAttention:
    """Cross-attention that also keeps its probabilities, (batch, pixels, tokens), averaged over heads."""

    def __init__(self, caught: list[torch.Tensor]) -> None:
        self.caught = caught

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
        q, k, v = attn.to_q(hidden_states), attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states)
        q, k, v = (t.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for t in (q, k, v))
        probs = (q @ k.transpose(-1, -2) * attn.scale).softmax(-1)  # (batch, heads, pixels, tokens)
        self.caught.append(probs.float().mean(1))
        return attn.to_out[0]((probs @ v).transpose(1, 2).flatten(2))


def attention_outside(caught: list[torch.Tensor], named: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """The mean share of a noun's attention that falls outside the thing it names.

    Args:
        caught: per layer, (batch, pixels, tokens).
        named: (batch, tokens), index of the thing or -1.
        cells: (batch, 2, 16, 16).
    """
    counted = (named >= 0).float()
    where = torch.gather(cells.flatten(2).float(), 1, named.clamp(min=0)[..., None].expand(-1, -1, cells[0, 0].numel()))
    where = where.unflatten(-1, cells.shape[-2:])  # (batch, tokens, 16, 16)
    loss = torch.zeros((), device=named.device)
    for probs in caught:
        inside = _at(where, probs)
        by_token = probs.transpose(1, 2)
        share = (by_token * inside).sum(2) / (by_token.sum(2) + 1e-6)
        loss = loss + ((1 - share) * counted).sum() / (counted.sum() + 1e-6)
    return loss / len(caught)


def attention_missing(
    caught: list[torch.Tensor], named: torch.Tensor, cells: torch.Tensor, at_least: float = WORDS_SHARE
) -> torch.Tensor:
    """How far the attention of a thing's pixels to its words stays below `at_least`, 0 to `at_least`.

    A noun whose attention lies inside its thing may still look at a corner of it only, and with little: a mask made
    of such a map leaves most of the thing out, and turning the word up or down turns next to nothing.
    Arguments as of `attention_outside`.
    """
    things = functional.one_hot(named + 1, 1 + cells.shape[1])[..., 1:].float()  # (batch, tokens, 2)
    said = things.amax(1)[..., None]  # (batch, 2, 1): whether the caption has the thing, or was dropped
    loss = torch.zeros((), device=named.device)
    for probs in caught:
        inside = _at(cells.float(), probs) * said  # (batch, 2, pixels)
        below = functional.relu(at_least - (probs @ things).transpose(1, 2))
        loss = loss + (below * inside).sum() / (inside.sum() + 1e-6)
    return loss / len(caught)


def _at(where: torch.Tensor, probs: torch.Tensor) -> torch.Tensor:
    """Places of (batch, n, 16, 16) as a layer's pixels see them, (batch, n, pixels)."""
    return functional.adaptive_max_pool2d(where, round(probs.shape[1] ** 0.5)).flatten(2)
