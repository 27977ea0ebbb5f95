"""The published method of joint attention (Shin et al. 2025, exploring-mmdit): what a target takes of its source.

It knows no words: queries, keys or values of a part of the positions are the source's, or a part of the logits is,
before the one softmax. `p2p.plan.PublishedPlan` says which, at which steps, and in which blocks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from p2p.attention.layout import Fused, of_rows
from p2p.attention.sites import AttentionSite
from p2p.plan import PublishedPlan

Positions = Literal["image", "all"]


@dataclass(frozen=True)
class Method:
    """The part of its source that a target's attention takes.

    Attributes:
        q, k, v: of which positions its queries, keys and values are the source's.
        columns: at which columns the logits of the pixels' rows are the source's.
    """

    q: Positions | None = None
    k: Positions | None = None
    v: Positions | None = None
    columns: Literal["image", "text"] | None = None


METHODS: Mapping[str, Method] = {
    "qiki": Method(q="image", k="image"),
    "qi": Method(q="image"),
    "ki": Method(k="image"),
    "qk": Method(q="all", k="all"),
    "kivi": Method(k="image", v="image"),
    "T2I": Method(columns="text"),
    "I2I": Method(columns="image"),
}


@dataclass(frozen=True, eq=False)
class Published:
    """One job's rows at steps at which it takes something of its source.

    Attributes:
        source: its row.
        targets: theirs.
    """

    plan: PublishedPlan
    source: int
    targets: Sequence[int]

    @property
    def method(self) -> Method:
        """What the targets take."""
        return METHODS[self.plan.method]

    def acts_at(self, site: AttentionSite) -> bool:
        """Whether anything is taken in a block."""
        return self.plan.blocks is None or site.block in self.plan.blocks

    def taken(self, q: Tensor, k: Tensor, v: Tensor, image: slice) -> Iterator[Tensor]:
        """Queries, keys and values with what the targets take of the source."""
        everything, rows = slice(None), list(self.targets)
        for tensor, positions in zip((q, k, v), (self.method.q, self.method.k, self.method.v), strict=True):
            if positions is None:
                yield tensor
                continue
            place = image if positions == "image" else everything
            changed = tensor.clone()
            changed[rows, :, place] = tensor[self.source, :, place]
            yield changed

    def masked(self, mask: Tensor | None) -> Tensor | None:
        """Which positions each row attends to, (rows, positions): of the source's keys, those that it does."""
        if mask is None or self.method.k != "all":
            return mask
        changed = mask.clone()
        changed[list(self.targets)] = mask[self.source]
        return changed

    def put_logits(
        self,
        out: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        image: slice,
        text: slice,
        fused: Fused,
        mask: Tensor | None = None,
    ) -> None:
        """Puts the targets' rows of pixels into an output, where a part of their logits is the source's.

        One call of twice the width: the halves of a key that a column's logits do not come from are zero.

        Args:
            mask: (rows, positions) bool, which ones are attended to.
        """
        if self.method.columns is None:
            return
        from_source, rows = text if self.method.columns == "text" else image, list(self.targets)
        width, source = q.shape[-1], q[self.source].expand(len(rows), -1, -1, -1)
        queries = torch.cat([q[rows], source], -1)[:, :, image]
        keys = torch.cat([k[rows], k[self.source].expand(len(rows), -1, -1, -1)], -1).clone()
        keys[:, :, from_source, :width] = 0
        other = image if self.method.columns == "text" else text
        keys[:, :, other, width:] = 0
        seen = None if mask is None else mask[rows].clone()
        if mask is not None and seen is not None:
            seen[:, from_source] = mask[self.source, from_source]
        how = {"scale": width**-0.5, "attn_mask": of_rows(seen, slice(None))}
        out[rows, :, image] = fused(queries, keys, pad(v[rows], (0, width)), **how)[..., :width]
