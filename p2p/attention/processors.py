"""The diffusers attention processor of UNets with separate self- and cross-attention (SD 1.x, SD 2.x)."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from p2p.attention.control import AttentionControl
from p2p.attention.layout import take
from p2p.attention.sites import AttentionSite, Keys
from p2p.errors import UnsupportedModel


class ControlledAttention:
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
            return heads(attn.to_k(context)), heads(attn.to_v(context))

        layout = self.control.carried(self.site)
        if self.site.keys is Keys.TEXT and encoder_hidden_states is not None:
            q = attn.to_q(hidden_states)
            k, v = self.control.text_projections(self.site, encoder_hidden_states, of_text)
        elif layout is not None:
            own = take(hidden_states, layout.projected)
            q, k = take(attn.to_q(own), layout.spread), heads(take(attn.to_k(own), layout.spread))
            v = heads(attn.to_v(hidden_states))
        else:
            raise ValueError(f"{self.site.name} was called as another kind of attention than its family declares")
        out = self.control.attend(self.site, heads(q), k, v)
        return attn.to_out[1](attn.to_out[0](out.transpose(1, 2).flatten(2)))


#: Parts of diffusers' `Attention` that the processor above does not compute, with the value that means "none".
UNSUPPORTED = {
    "group_norm": None, "spatial_norm": None, "norm_q": None, "norm_k": None, "norm_cross": None,
    "added_kv_proj_dim": None, "residual_connection": False, "only_cross_attention": False,
}  # fmt: skip
#: The stock processors that compute just that; others add inputs (IP-Adapter) or change the result (custom ones).
STOCK = ("AttnProcessor", "AttnProcessor2_0")


def layers_of(network: Any) -> Mapping[str, Any]:
    """A network's attention layers, by the names of their processors; raises `UnsupportedModel` (`check`)."""
    layers = {name: network.get_submodule(name.removesuffix(".processor")) for name in network.attn_processors}
    for name, layer in layers.items():
        check(name, layer)
    return layers


def check(name: str, attn) -> None:
    """Refuses an attention layer that computes more than queries, keys and values; see `refuse`."""
    refuse(name, attn, STOCK, UNSUPPORTED)


def refuse(name: str, attn, stock: Sequence[str], unsupported: Mapping[str, Any]) -> None:
    """Refuses an attention layer that computes more than a processor in the place of its own would.

    Args:
        stock: the processors that compute the same.
        unsupported: parts of the layer by the value that means that it has none.
    Raises:
        UnsupportedModel: naming the layer and the part.
    """
    if (kind := type(attn.processor).__name__) not in stock:
        raise UnsupportedModel(
            f"the attention layer {name} has the processor {kind}, which attention control does not know"
        )
    for part, absent in unsupported.items():
        if getattr(attn, part, absent) != absent:
            raise UnsupportedModel(f"the attention layer {name} has {part}, which attention control does not know")
    if getattr(attn, "rescale_output_factor", 1.0) != 1.0:
        raise UnsupportedModel(f"the attention layer {name} rescales its output, which attention control does not know")
