"""Joint attention that also keeps what it gave to words, for the terms that training asks of it."""

from typing import Any

import torch


class CatchJointAttention:
    """`AttnAddedKVProcessor` that appends to `caught` the words' columns, (batch, pixels, tokens), mean over heads.

    Text columns come first. Rows of the words' columns add up to less than one: the rest is what the pixels get.
    """

    def __init__(self, caught: list[torch.Tensor]) -> None:
        self.caught = caught

    def __call__(self, attn: Any, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, **_: Any):
        pixels = attn.group_norm(hidden_states.flatten(2)).transpose(1, 2)
        text = attn.norm_encoder_hidden_states(encoder_hidden_states) if attn.norm_cross else encoder_hidden_states
        k = torch.cat([attn.add_k_proj(text), attn.to_k(pixels)], 1)
        v = torch.cat([attn.add_v_proj(text), attn.to_v(pixels)], 1)
        q, k, v = (t.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for t in (attn.to_q(pixels), k, v))
        probs = (q @ k.transpose(-1, -2) * attn.scale).softmax(-1)  # (batch, heads, pixels, tokens + pixels)
        self.caught.append(probs[..., : text.shape[1]].float().mean(1))
        out = attn.to_out[0]((probs @ v.to(probs.dtype)).transpose(1, 2).flatten(2))
        return out.transpose(1, 2).unflatten(2, hidden_states.shape[2:]) + hidden_states
