"""What pictures' places look at in one softmax over pixels and text, caught while it is computed."""

import torch


class CatchJointAttention:
    """SD3's joint attention that also keeps what each place looks at among the words, (batch, places, tokens).

    Kept is the mean over heads, of the text alone: a place's rows sum to one, as in the cross-attention that
    `scenes.attention_terms` asks of. How much of a place's attention the text has at all is left to the network.
    """

    def __init__(self, caught: list[torch.Tensor]) -> None:
        self.caught = caught

    def __call__(self, attn, hidden_states, encoder_hidden_states, attention_mask=None, **_):
        places = hidden_states.shape[1]
        image = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
        text = (
            attn.add_q_proj(encoder_hidden_states),
            attn.add_k_proj(encoder_hidden_states),
            attn.add_v_proj(encoder_hidden_states),
        )
        image, text = (tuple(t.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for t in each) for each in (image, text))
        q = torch.cat([attn.norm_q(image[0]), attn.norm_added_q(text[0])], 2)
        k = torch.cat([attn.norm_k(image[1]), attn.norm_added_k(text[1])], 2)
        probs = (q @ k.transpose(-1, -2) * attn.scale).softmax(-1)  # (batch, heads, places + tokens, places + tokens)
        words = probs[:, :, :places, places:].float().mean(1)
        self.caught.append(words / (words.sum(-1, keepdim=True) + 1e-6))
        v = torch.cat([image[2], text[2]], 2)
        out = (probs.to(v.dtype) @ v).transpose(1, 2).flatten(2)
        seen, said = out[:, :places], out[:, places:]
        return attn.to_out[0](seen), said if attn.context_pre_only else attn.to_add_out(said)
