"""The diffusers attention processors of models whose pixels and text are one sequence, one for each layout.

Each computes what the stock processor computes, and gives it to the control where that is not idle.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

from p2p.attention.control import AttentionControl
from p2p.attention.layout import Fused, of_rows
from p2p.attention.sites import AttentionSite
from p2p.errors import UnsupportedModel


class JointProcessor:
    """What the processors have in common."""

    def __init__(self, site: AttentionSite, control: AttentionControl, stock: Any) -> None:
        self.site, self.control, self.stock = site, control, stock

    def __call__(self, attn: Any, *given: Any, **further: Any) -> Any:
        if not self.control.is_active(self.site):
            return self.stock(attn, *given, **further)
        return self.controlled(attn, *given, **further)

    def controlled(self, attn: Any, *given: Any, **further: Any) -> Any:
        """The layer's output with the plans applied."""
        raise NotImplementedError


class SD3Attention(JointProcessor):
    """SD3 and SD3.5: pixels and then text; of `attn2`, pixels alone."""

    def controlled(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *_: Any, **__: Any
    ) -> Any:
        def heads(projected: Tensor) -> Tensor:  # (rows, heads, positions, head_dim)
            return projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        q = _normed(attn.norm_q, heads(attn.to_q(hidden_states)))
        k = _normed(attn.norm_k, heads(attn.to_k(hidden_states)))
        v, pixels = heads(attn.to_v(hidden_states)), hidden_states.shape[1]
        q, k = self.control.carry(self.site, q, k)
        if encoder_hidden_states is None:
            return _out(attn, _flat(sdpa(q, k, v)))
        text = encoder_hidden_states
        q = torch.cat([q, _normed(attn.norm_added_q, heads(attn.add_q_proj(text)))], 2)
        k = torch.cat([k, _normed(attn.norm_added_k, heads(attn.add_k_proj(text)))], 2)
        v = torch.cat([v, heads(attn.add_v_proj(text))], 2)
        out = _flat(self.control.attend_jointly(self.site, q, k, v))
        of_text = out[:, pixels:]
        return _out(attn, out[:, :pixels]), of_text if attn.context_pre_only else attn.to_add_out(of_text)


class _Rotated(JointProcessor):
    """Text and then pixels, whose queries and keys are rotated to their positions."""

    def carried_in_one_stream(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys of text and pixels, (rows, positions, heads, head_dim), with what the pixels carry over."""
        place, _ = self.site.parts(q.shape[1], self.control.tokens)
        of_pixels = self.control.carry(self.site, q[:, place], k[:, place])
        of_text = (each[:, : place.start] for each in (q, k))
        q, k = (torch.cat(pair, 1) for pair in zip(of_text, of_pixels, strict=True))
        return q, k

    def attended(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What comes out of the attention, (rows, positions, channels), of queries and keys that are rotated."""
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        return _flat(self.control.attend_jointly(self.site, q, k, v, dispatched(self.stock)))


def _placed(each: Tensor, places: Any) -> Tensor:
    """Queries or keys rotated to their positions. One at a time: float32 takes twice the memory of a half."""
    return apply_rotary_emb(each, places, sequence_dim=1)


class FluxAttention(_Rotated):
    """FLUX.1 and FLUX.2: text and then pixels, in two streams or, in single blocks of FLUX.1, in one."""

    def controlled(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Any = None,
    ) -> Any:
        def heads(projected: Tensor) -> Tensor:  # (rows, positions, heads, head_dim)
            return projected.unflatten(-1, (-1, attn.head_dim))

        q, k = attn.norm_q(heads(attn.to_q(hidden_states))), attn.norm_k(heads(attn.to_k(hidden_states)))
        v = heads(attn.to_v(hidden_states))
        if encoder_hidden_states is None:
            q, k = self.carried_in_one_stream(q, k)
        else:
            text = encoder_hidden_states
            q, k = self.control.carry(self.site, q, k)
            q = torch.cat([attn.norm_added_q(heads(attn.add_q_proj(text))), q], 1)
            k = torch.cat([attn.norm_added_k(heads(attn.add_k_proj(text))), k], 1)
            v = torch.cat([heads(attn.add_v_proj(text)), v], 1)
        q = _placed(q, image_rotary_emb)
        k = _placed(k, image_rotary_emb)
        out = self.attended(q, k, v)
        if encoder_hidden_states is None:
            return out
        tokens = encoder_hidden_states.shape[1]
        return _out(attn, out[:, tokens:].contiguous()), attn.to_add_out(out[:, :tokens].contiguous())


class Flux2SingleAttention(_Rotated):
    """FLUX.2's blocks of one stream, whose projection is one with that of the block's MLP."""

    def controlled(
        self, attn: Any, hidden_states: Tensor, attention_mask: Tensor | None = None, image_rotary_emb: Any = None
    ) -> Any:
        projected, width = attn.to_qkv_mlp_proj(hidden_states), 3 * attn.inner_dim
        of_attention, of_mlp = projected[..., :width], projected[..., width:]
        q, k, v = (each.unflatten(-1, (-1, attn.head_dim)) for each in of_attention.chunk(3, -1))
        q, k = self.carried_in_one_stream(attn.norm_q(q), attn.norm_k(k))
        q = _placed(q, image_rotary_emb)
        k = _placed(k, image_rotary_emb)
        out = self.attended(q, k, v)
        return attn.to_out(torch.cat([out, attn.mlp_act_fn(of_mlp)], -1))


class QwenAttention(JointProcessor):
    """Qwen-Image: text and then pixels, each rotated to its positions; padding of the text is left out by a mask."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        encoder_hidden_states_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Any = None,
    ) -> Any:
        # Said one by one: diffusers' `Attention` passes on what a processor's signature names, and drops the rest.
        text = encoder_hidden_states, encoder_hidden_states_mask
        return super().__call__(attn, hidden_states, *text, attention_mask, image_rotary_emb)

    def controlled(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        encoder_hidden_states_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Any = None,
    ) -> Any:
        def heads(projected: Tensor) -> Tensor:  # (rows, positions, heads, head_dim)
            return projected.unflatten(-1, (attn.heads, -1))

        text, (of_pixels, of_text) = encoder_hidden_states, image_rotary_emb
        q, k = (
            _normed(attn.norm_q, heads(attn.to_q(hidden_states))),
            _normed(attn.norm_k, heads(attn.to_k(hidden_states))),
        )
        q, k = self.control.carry(self.site, q, k)
        text_q = _normed(attn.norm_added_q, heads(attn.add_q_proj(text)))
        text_k = _normed(attn.norm_added_k, heads(attn.add_k_proj(text)))
        q, k = (
            torch.cat([_rotated(words, of_text), _rotated(pixels, of_pixels)], 1)
            for words, pixels in ((text_q, q), (text_k, k))
        )
        v, mask = torch.cat([heads(attn.add_v_proj(text)), heads(attn.to_v(hidden_states))], 1), None
        if encoder_hidden_states_mask is not None:
            pixels = encoder_hidden_states_mask.new_ones(hidden_states.shape[:2])
            mask = torch.cat([encoder_hidden_states_mask, pixels], 1)
        tokens = text.shape[1]
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        out = _flat(self.control.attend_jointly(self.site, q, k, v, dispatched(self.stock), tokens, mask))
        return _out(attn, out[:, tokens:].contiguous()), attn.to_add_out(out[:, :tokens].contiguous())


class ZImageAttention(JointProcessor):
    """Z-Image: pixels and then text in one stream, or pixels alone; both are filled up to a multiple of `PADDED_TO`.

    What fills up the pixels goes with them. Prompts of fewer such parts than others of the batch have a mask.
    """

    #: `SEQ_MULTI_OF` of diffusers' file of the network.
    PADDED_TO = 32

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        freqs_cis: Tensor | None = None,
    ) -> Any:
        # Said one by one, as above.
        return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, freqs_cis)

    def controlled(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        freqs_cis: Any = None,
    ) -> Any:
        def heads(projected: Tensor) -> Tensor:  # (rows, positions, heads, head_dim)
            return projected.unflatten(-1, (attn.heads, -1))

        q, k = (
            _normed(attn.norm_q, heads(attn.to_q(hidden_states))),
            _normed(attn.norm_k, heads(attn.to_k(hidden_states))),
        )
        v, pixels = heads(attn.to_v(hidden_states)), self._pixels()
        carried = self.control.carry(self.site, q[:, :pixels], k[:, :pixels])
        # Each row's own places: those of the pixels begin where its text ends.
        q, k = (
            _rotated(torch.cat([of_pixels, each[:, pixels:]], 1), freqs_cis)
            for of_pixels, each in zip(carried, (q, k), strict=True)
        )
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        tokens, fused = hidden_states.shape[1] - pixels, dispatched(self.stock)
        if tokens:
            out = self.control.attend_jointly(self.site, q, k, v, fused, tokens, attention_mask)
        else:
            out = fused(q, k, v, attn_mask=of_rows(attention_mask, slice(None)))
        return _out(attn, _flat(out))

    def _pixels(self) -> int:
        """Positions of the pixels, and of what fills them up."""
        height, width = (side // self.site.factor for side in self.control.size)
        return -(-height * width // self.PADDED_TO) * self.PADDED_TO


def dispatched(stock: Any) -> Fused:
    """The attention that a stock processor of diffusers calls, with the backend that it was given."""

    def fused(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, scale: float | None = None) -> Tensor:
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        how = {"backend": stock._attention_backend, "parallel_config": stock._parallel_config}
        return dispatch_attention_fn(q, k, v, attn_mask=attn_mask, scale=scale, **how).transpose(1, 2)

    return fused


def joint_layers_of(network: Any, stock: Iterable[str]) -> Mapping[str, Any]:
    """A network's attention layers, by the names of their processors.

    Args:
        stock: the processors that compute just what the family's own does.
    Raises:
        UnsupportedModel: a layer has another processor, or projects queries, keys and values as one.
    """
    # Not by the network's own list, which not all have. The order is the same.
    found = ((name, module) for name, module in network.named_modules() if hasattr(module, "get_processor"))
    layers = {f"{name}.processor": module for name, module in found}
    for name, layer in layers.items():
        if (kind := type(layer.processor).__name__) not in stock:
            raise UnsupportedModel(
                f"the attention layer {name} has the processor {kind}, which attention control does not know"
            )
        if getattr(layer, "fused_projections", False):
            raise UnsupportedModel(f"the attention layer {name} has fused projections: call `unfuse_qkv_projections`")
    return layers


def _normed(norm: Callable[[Tensor], Tensor] | None, projected: Tensor) -> Tensor:
    return projected if norm is None else norm(projected)


def _rotated(each: Tensor, places: Tensor) -> Tensor:
    """Queries or keys, (rows, positions, heads, head_dim), turned by complex numbers as the stock processors do."""
    turned = torch.view_as_complex(each.float().unflatten(-1, (-1, 2))) * places.unsqueeze(-2)
    return torch.view_as_real(turned).flatten(-2).type_as(each)


def _flat(out: Tensor) -> Tensor:
    return out.transpose(1, 2).flatten(2)


def _out(attn: Any, out: Tensor) -> Tensor:
    for layer in attn.to_out:  # of Z-Image a projection alone, else a dropout behind it
        out = layer(out)
    return out
