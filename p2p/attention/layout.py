"""Which rows of a batch take what from which: laid out once for every phase of a run, as indices and tensors.

A phase is a stretch of steps at which the same things are carried over. Inside a layer nothing is left to decide:
one gather, one fused attention, one addition, whatever jobs, targets and edit kinds share the batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Rows of a tensor's first axis: some that follow each other, or any.
Rows = slice | Tensor
#: Fused attention of (rows, heads, positions, head_dim), with a `scale` where the width is not the head's, and an
#: `attn_mask` where not all positions are attended to.
Fused = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class EditedRow:
    """A row whose cross-attention is edited in a phase.

    Attributes:
        source: the row whose queries and keys it takes.
        from_source: (source_tokens, target_tokens), A of `p2p.plan`.
        own: (target_tokens,), B of `p2p.plan`.
    """

    source: int
    from_source: Tensor
    own: Tensor

    def after(self, leading: int, share: float) -> "EditedRow":
        """The same behind columns of no word, each of which takes a share of the source's column at its place."""
        if not leading:
            return self
        front = torch.eye(leading) * share
        return EditedRow(
            self.source,
            torch.block_diag(front, self.from_source),
            torch.cat([torch.full((leading,), 1 - share), self.own]),
        )


@dataclass(frozen=True, eq=False)
class CrossLayout:
    """One phase's cross-attention as calls: rows of one fused attention.

    A row that is not edited is one call. An edited one is the call of its source's maps on A·v and, where it keeps
    something of its own, a second call of its own maps on B·v, to which the first is added.

    Where pixels are among the columns, their values are the row's own in each of its calls, times that call's share of
    them: 1 in the call of the maps that the pixels' columns are taken from, 0 in the other one.

    Attributes:
        rows: of the batch.
        queries: (calls,) rows of the batch.
        keys: (calls,) of the prompts' keys.
        values: (calls,) of the folded values.
        added_to: the rows to which the calls after the first `rows` are added.
        scaled, scale: (own,) prompts and (own, tokens) by what their values are multiplied.
        mapped, mapper: (taken,) prompts and (taken, source_tokens, tokens) by what their values are mapped.
        pixels: (calls,) shares of the row's pixels.
    """

    rows: int
    queries: Rows
    keys: Rows
    values: Rows
    added_to: Rows
    scaled: Tensor
    scale: Tensor
    mapped: Tensor
    mapper: Tensor
    pixels: Tensor

    @property
    def edits(self) -> bool:
        """Whether any row is edited."""
        return len(self.mapped) > 0

    @property
    def calls(self) -> int:
        """How many rows the fused attention has."""
        added = self.added_to.stop - self.added_to.start if isinstance(self.added_to, slice) else len(self.added_to)
        return self.rows + added

    def folded(self, values: Tensor) -> Tensor:
        """The prompts' values (prompts, heads, tokens, head_dim) with the edits folded in, (own + taken, ...).

        In float32: it is done once a phase, and what comes out is rounded once.
        """
        own = take(values, self.scaled).float() * self.scale[:, None, :, None]
        taken = self.mapper[:, None] @ take(values, self.mapped).float()
        return torch.cat([own, taken]).to(values.dtype)


def cross_layout(
    prompts: Sequence[int],
    edited: Mapping[int, EditedRow],
    tokens: int,
    device,
    carried: Mapping[int, int] | None = None,
) -> CrossLayout:
    """The layout of a batch.

    Args:
        prompts: of every row of the batch, the number of its prompt.
        edited: by row; the others are plain.
        carried: where pixels are among the columns, the rows whose pixels' columns are their source's, and it.
    """
    ones, has_pixels, carried = torch.ones(tokens), carried is not None, carried or {}
    # A row that takes nothing but pixels' columns has all of its words' own.
    edited = {row: EditedRow(source, torch.zeros(tokens, tokens), ones) for row, source in carried.items()} | dict(
        edited
    )
    own: dict[int | tuple[int], tuple[int, Tensor]] = {}  # by prompt where it is plain, by (row,) where it is its own
    taken: list[tuple[int, Tensor]] = []
    # Row of the queries, prompt, (whether taken, which value), share of the pixels.
    calls: list[tuple[int, int, tuple[bool, int], float]] = []
    added: list[tuple[int, tuple[int, int, tuple[bool, int], float]]] = []
    for row, prompt in enumerate(prompts):
        edit, share = edited.get(row), float(row in carried)
        if edit is not None:
            call = (edit.source, prompts[edit.source], (True, len(taken)), share)
            taken.append((prompt, edit.from_source))
            if not edit.own.any() and (share or not has_pixels):
                calls.append(call)
                continue
            added.append((row, call))
        key = prompt if edit is None else (row,)
        own.setdefault(key, (prompt, ones if edit is None else edit.own))
        calls.append((row, prompt, (False, list(own).index(key)), 1 - share))
    calls += [call for _, call in added]

    def index(numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=device)

    def stacked(tensors: Sequence[Tensor], *shape: int) -> Tensor:
        return (torch.stack(list(tensors)) if tensors else torch.zeros(0, *shape)).to(device)

    return CrossLayout(
        rows=len(prompts),
        queries=rows_of([row for row, *_ in calls], len(prompts), device),
        keys=rows_of([prompt for _, prompt, *_ in calls], max(prompts) + 1, device),
        values=rows_of(
            [which + len(own) * is_taken for _, _, (is_taken, which), _ in calls], len(own) + len(taken), device
        ),
        added_to=rows_of([row for row, _ in added], len(prompts), device),
        scaled=index([prompt for prompt, _ in own.values()]),
        scale=stacked([scale for _, scale in own.values()], tokens),
        mapped=index([prompt for prompt, _ in taken]),
        mapper=stacked([mapper for _, mapper in taken], tokens, tokens),
        pixels=torch.tensor([share for *_, share in calls], device=device),
    )


@dataclass(frozen=True, eq=False)
class SelfLayout:
    """One phase's self-attention: a row that carries its source's over needs no queries and keys of its own.

    Attributes:
        projected: the rows whose queries and keys are computed.
        spread: (rows,) of every row, which of the `projected` it takes them from.
    """

    projected: Rows
    spread: Tensor


def self_layout(rows: int, carried: Mapping[int, int], device) -> SelfLayout | None:
    """The layout of a batch whose rows `carried` take the self-attention of their sources; None if none does."""
    if not carried:
        return None
    projected = [row for row in range(rows) if row not in carried]
    place = {row: index for index, row in enumerate(projected)}
    spread = [place[carried.get(row, row)] for row in range(rows)]
    return SelfLayout(rows_of(projected, rows, device), torch.tensor(spread, device=device))


def spread_of(rows: int, carried: Mapping[int, int], device) -> Tensor | None:
    """(rows,) of every row the one whose queries and keys it has, where all were computed; None if all have theirs."""
    return torch.tensor([carried.get(row, row) for row in range(rows)], device=device) if carried else None


def rows_of(indices: Sequence[int], of: int, device) -> Rows:
    """Rows by their indices among `of`; those that follow each other are a slice, which copies nothing."""
    first = indices[0] if indices else 0
    last = first + len(indices)
    if last <= of and list(indices) == list(range(first, last)):
        return slice(first, last)
    return torch.tensor(indices, dtype=torch.long, device=device)


def take(tensor: Tensor, rows: Rows) -> Tensor:
    """Rows of a tensor's first axis."""
    return tensor[rows] if isinstance(rows, slice) else tensor.index_select(0, rows)


def of_rows(mask: Tensor | None, rows: Rows) -> Tensor | None:
    """Rows of a mask of positions, (rows, positions), as fused attention takes it: (rows, 1, 1, positions)."""
    return None if mask is None else take(mask, rows)[:, None, None]
