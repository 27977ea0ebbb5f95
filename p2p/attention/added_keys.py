"""The diffusers attention processor of layers whose pixels attend to the text and to pixels in one softmax.

They add keys and values of the text to those of the pixels (`AttnAddedKVProcessor2_0`): UNets of DeepFloyd IF's design,
which is Imagen's, and of unCLIP's.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from p2p.attention.control import AttentionControl
from p2p.attention.processors import refuse
from p2p.attention.sites import AttentionSite


class ControlledAddedKeys:
    """Gives a layer's queries, keys and values to the control; the stock processor runs where that is idle."""

    def __init__(self, site: AttentionSite, control: AttentionControl, stock) -> None:
        self.site, self.control, self.stock = site, control, stock

    def __call__(
        self, attn, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask=None, **extra
    ) -> Tensor:
        if not self.control.is_active(self.site):
            return self.stock(attn, hidden_states, encoder_hidden_states, attention_mask, **extra)

        def heads(projected: Tensor) -> Tensor:  # (rows, heads, positions, head_dim)
            return projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        def of_text(context: Tensor) -> tuple[Tensor, Tensor]:
            if attn.norm_cross:
                context = attn.norm_encoder_hidden_states(context)
            return heads(attn.add_k_proj(context)), heads(attn.add_v_proj(context))

        if encoder_hidden_states is None:
            raise ValueError(f"{self.site.name} was called without a text, which its family declares it to have")
        seen = attn.group_norm(hidden_states.flatten(2)).transpose(1, 2)
        k, v = self.control.text_projections(self.site, encoder_hidden_states, of_text)
        pixels = None if attn.only_cross_attention else (heads(attn.to_k(seen)), heads(attn.to_v(seen)))
        out = self.control.attend(self.site, heads(attn.to_q(seen)), k, v, pixels, attention_mask)
        out = attn.to_out[1](attn.to_out[0](out.transpose(1, 2).flatten(2)))
        return out.transpose(1, 2).reshape(hidden_states.shape) + hidden_states


#: Parts of diffusers' `Attention` that the processor above does not compute, with the value that means "none".
UNSUPPORTED = {"spatial_norm": None, "norm_q": None, "norm_k": None}
#: The stock processors that compute just that.
STOCK = ("AttnAddedKVProcessor", "AttnAddedKVProcessor2_0")


def layers_with_added_keys(network: Any) -> Mapping[str, Any]:
    """A network's attention layers, by the names of their processors.

    Raises:
        UnsupportedModel: naming the layer and the part.
    """
    layers = {name: network.get_submodule(name.removesuffix(".processor")) for name in network.attn_processors}
    for name, layer in layers.items():
        refuse(name, layer, STOCK, UNSUPPORTED)
    return layers
