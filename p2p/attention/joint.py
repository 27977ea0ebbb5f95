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
class Call:
    """Rows of pixels that are one fused call.

    Attributes:
        rows: of the batch: whose values they have, and whose output they are part of.
        queries: whose queries and keys they have; one row for all of them, or one for each.
        pixels: (rows,) by what the values of pixels are multiplied.
    """

    rows: Rows
    queries: Rows
    pixels: Tensor

    def of(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        words: Tensor,
        image: slice,
        text: slice,
        fused: Fused,
        mask: Tensor | None,
    ) -> Tensor:
        """What comes out, (rows, heads, pixels, head_dim), with `words` for the values of the text."""
        values = take(v, self.rows)
        values = values.clone() if isinstance(self.rows, slice) else values
        values[:, :, image] *= self.pixels.to(v.dtype)[:, None, None, None]
        values[:, :, text, : words.shape[-1]] = words.to(v.dtype)
        # Views where rows follow each other: a copy of each costs as much memory as the layer's own projections.
        queries, keys = (take(each, self.queries) for each in (q[:, :, image], k))
        queries, keys = (each.expand(len(values), -1, -1, -1) for each in (queries, keys))
        return fused(queries, keys, values, attn_mask=of_rows(mask, self.queries))


@dataclass(frozen=True, eq=False)
class JointLayout:
    """One phase's joint attention as calls.

    Attributes:
        plain: rows of the batch whose maps are all their own, once queries and keys were carried over.
        taken: the others, with the queries and keys of their sources.
        kept: those of them that keep something of their own, with their own.
        mapper: (taken, source_tokens, tokens), A of each.
        own: (kept, tokens), B of each.
        added_to: (kept,) where among `taken` they are added.
        matched: (taken,) bool, whose text's share is their own; None if of none.
    """

    plain: Rows
    taken: Call
    kept: Call
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
        out, edited = torch.empty_like(q), self.taken.rows
        if len(plain := take(q, self.plain)):
            out[self.plain] = fused(
                plain, take(k, self.plain), take(v, self.plain), attn_mask=of_rows(mask, self.plain)
            )
        if mask is not None:  # a column that is mapped to one that is not there goes nowhere
            v = v * mask[:, None, :, None]
        out[edited, :, text] = fused(
            take(q[:, :, text], edited), take(k, edited), take(v, edited), attn_mask=of_rows(mask, edited)
        )
        out[edited, :, image] = self._pixels(q, k, v, image, text, fused, mask)
        return out

    def _pixels(
        self, q: Tensor, k: Tensor, v: Tensor, image: slice, text: slice, fused: Fused, mask: Tensor | None
    ) -> Tensor:
        width, tokens = v.shape[-1], text.stop - text.start
        if self.matched is not None:
            # The text's share of each call, in one more channel. Queries and keys are as wide as values.
            q, k, v = (pad(each, (0, _WIDTHS)) for each in (q, k, v))
            v[:, :, text, width] = 1
            fused = partial(fused, scale=width**-0.5)
        # In float32: what comes out is rounded once.
        of_taken, of_kept = (take(v, call.rows)[:, :, text, :width].float() for call in (self.taken, self.kept))
        of_taken = self.mapper[:, None, :tokens, :tokens] @ of_taken
        taken = self.taken.of(q, k, v, of_taken, image, text, fused, mask)
        if not len(self.own):
            return taken[..., :width]
        kept = self.kept.of(q, k, v, self.own[:, None, :tokens, None] * of_kept, image, text, fused, mask)
        if self.matched is not None:
            shares, own = (each[..., width : width + 1] for each in (taken, kept))
            ratio = torch.ones_like(shares).index_copy_(0, self.added_to, own / shares.index_select(0, self.added_to))
            taken = torch.where(self.matched[:, None, None, None], taken * ratio, taken)
        if len(kept) == len(taken):  # as they stand: a sum by index takes several times as long
            return taken[..., :width] + kept[..., :width]
        return taken[..., :width].index_add(0, self.added_to, kept[..., :width])


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

    def call(indices: Sequence[int], queries: Sequence[int], pixels: Sequence[float]) -> Call:
        same = list(queries[:1]) if len(set(queries)) == 1 else list(queries)
        return Call(
            rows_of([order[index] for index in indices], rows, device),
            rows_of(same, rows, device),
            torch.tensor(pixels, device=device),
        )

    tokens = len(edited[order[0]].own)
    own = torch.stack([edited[order[index]].own for index in kept]) if kept else torch.zeros(0, tokens)
    return JointLayout(
        plain=rows_of([row for row in range(rows) if row not in edited], rows, device),
        taken=call(range(len(order)), [edited[row].source for row in order], shares),
        kept=call(kept, [order[index] for index in kept], [1 - shares[index] for index in kept]),
        mapper=torch.stack([edited[row].from_source for row in order]).to(device),
        own=own.to(device),
        added_to=torch.tensor(kept, dtype=torch.long, device=device),
        matched=torch.tensor(is_matched, device=device) if any(is_matched) else None,
    )
