"""Attention in which pixels and text are one sequence: every position attends to all others, in one softmax.

Of an edited row, with the source's maps P0, its own maps P, and A and B of `p2p.plan` over the columns of the text:

    pixels' rows:  [ c P0 + (1 - c) P  |  P0 A + P B ]        columns: pixels | text
    text's rows:   P

where c is 1 if the source's self-attention is carried over. Then the pixels' queries and keys in P are the source's
too. Folded into the values v of the row, that is at most two fused calls for the rows of pixels, and a small one for
those of the text:

    P0 @ [c v | A v]  +  P @ [(1 - c) v | B v]

Positions that a mask leaves out have no column: P0 and P are zero there, and so is what is mapped to them.

`mass_matched` keeps the text's whole share of the attention as it is in P: P0 A is multiplied by the share that the
text has in P, divided by the one it has in P0, and the pixels' columns are those of P. Both shares come out as one more
channel of the values. docs/attention.md derives it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.functional import scaled_dot_product_attention as sdpa

from p2p.attention.layout import EditedRow, Fused, Rows, of_rows, rows_of, take

#: Widths that fused kernels take. Values wider than queries and keys would silently build the whole matrix.
_WIDTHS = 8


@dataclass(frozen=True, eq=False)
class JointLayout:
    """One phase's joint attention as calls.

    Attributes:
        plain: rows of the batch whose maps are all their own, once queries and keys were carried over.
        edited: the others.
        queries: (calls,) of each call for rows of pixels: which row's queries and keys. The first ones are of the
            sources, one for each of `edited`; the others are of those that keep something of their own.
        values: (calls,) whose values.
        pixels: (calls,) by what the values of pixels are multiplied.
        mapper: (edited, source_tokens, tokens), A of each.
        own: (calls after the first, tokens), B of each.
        added_to: (calls after the first,) where among `edited` they are added.
        matched: (edited,) bool, whose text's share is their own; None if of none.
    """

    plain: Rows
    edited: Tensor
    queries: Tensor
    values: Tensor
    pixels: Tensor
    mapper: Tensor
    own: Tensor
    added_to: Tensor
    matched: Tensor | None

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        image: slice,
        text: slice,
        fused: Fused = sdpa,
        mask: Tensor | None = None,
    ) -> Tensor:
        """The site's output, (rows, heads, positions, head_dim), as are q, k and v: pixels' and text's positions.

        Args:
            text: may be shorter than a prompt's limit, where no prompt of the batch is longer.
            mask: (rows, positions) bool, which ones are attended to.
        """
        out = torch.empty_like(q)
        if len(plain := take(q, self.plain)):
            out[self.plain] = fused(
                plain, take(k, self.plain), take(v, self.plain), attn_mask=of_rows(mask, self.plain)
            )
        if mask is not None:  # a column that is mapped to one that is not there goes nowhere
            v = v * mask[:, None, :, None]
        keys, values, seen = take(k, self.edited), take(v, self.edited), of_rows(mask, self.edited)
        out[self.edited, :, text] = fused(take(q, self.edited)[:, :, text], keys, values, attn_mask=seen)
        seen = of_rows(mask, self.queries)
        out[self.edited, :, image] = self._pixels(q, k, v, image, text, partial(fused, attn_mask=seen))
        return out

    def _pixels(self, q: Tensor, k: Tensor, v: Tensor, image: slice, text: slice, fused: Fused) -> Tensor:
        queries, keys = take(q[:, :, image], self.queries), take(k, self.queries)
        values, count, tokens = take(v, self.values).clone(), len(self.edited), text.stop - text.start
        values[:, :, image] *= self.pixels.to(v.dtype)[:, None, None, None]
        # In float32: what comes out is rounded once.
        words = values[:, :, text].float()
        mapper, own = self.mapper[:, None, :tokens, :tokens], self.own[:, None, :tokens, None]
        words = torch.cat([mapper @ words[:count], own * words[count:]])
        values[:, :, text] = words.to(v.dtype)
        if self.matched is None:
            found = fused(queries, keys, values)
            return found[:count].index_add_(0, self.added_to, found[count:])
        return self._matched(queries, keys, values, text, fused)

    def _matched(self, queries: Tensor, keys: Tensor, values: Tensor, text: slice, fused: Fused) -> Tensor:
        """The same with the text's share of each call in one more channel."""
        assert self.matched is not None
        width, count = values.shape[-1], len(self.edited)
        values = pad(values, (0, _WIDTHS))
        values[:, :, text, width] = 1
        wide = (pad(each, (0, _WIDTHS)) for each in (queries, keys))
        found = fused(*wide, values, scale=width**-0.5)[..., : width + 1]
        taken, kept = found[:count, ..., :width], found[count:, ..., :width]
        shares, own = found[:count, ..., width:], found[count:, ..., width:]
        ratio = torch.ones_like(shares).index_copy_(0, self.added_to, own / shares.index_select(0, self.added_to))
        taken = torch.where(self.matched[:, None, None, None], taken * ratio, taken)
        return taken.index_add(0, self.added_to, kept)


def joint_layout(
    rows: int,
    edited: Mapping[int, EditedRow],
    carried: Mapping[int, int],
    matched: Sequence[int],
    device: torch.device | str,
) -> JointLayout | None:
    """The layout of a batch; None if no row's text is edited.

    Args:
        edited, carried: as in `cross_layout` and `self_layout`.
        matched: rows whose text's share of the attention stays their own.
    """
    if not edited:
        return None
    order = list(edited)
    is_matched = [row in matched for row in order]
    # The pixels' columns come from the source's call, or from the row's own.
    shares = [float(row in carried and not own) for row, own in zip(order, is_matched, strict=True)]
    kept = [
        index
        for index, (row, share) in enumerate(zip(order, shares, strict=True))
        if share == 0 or edited[row].own.any()
    ]

    def numbers(indices: Sequence[int]) -> Tensor:
        return torch.tensor(indices, dtype=torch.long, device=device)

    tokens = len(edited[order[0]].own)
    own = torch.stack([edited[order[index]].own for index in kept]) if kept else torch.zeros(0, tokens)
    return JointLayout(
        plain=rows_of([row for row in range(rows) if row not in edited], rows, device),
        edited=numbers(order),
        queries=numbers([*(edited[row].source for row in order), *(order[index] for index in kept)]),
        values=numbers([*order, *(order[index] for index in kept)]),
        pixels=torch.tensor([*shares, *(1 - shares[index] for index in kept)], device=device),
        mapper=torch.stack([edited[row].from_source for row in order]).to(device),
        own=own.to(device),
        added_to=numbers(kept),
        matched=torch.tensor(is_matched, device=device) if any(is_matched) else None,
    )
