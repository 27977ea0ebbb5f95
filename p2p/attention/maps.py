"""Where words act: cross-attention averaged over heads, layers and steps, reduced as soon as it is seen."""

from collections.abc import Sequence

import torch
from torch import Tensor

from p2p.attention.layout import Rows, take


class AttentionMaps:
    """The running mean of the (edited) cross-attention of a run at one resolution, per picture and token.

    The mean over layers is taken within a step, so a step counts as much as any other however many layers it read.

    Args:
        tokens: the positions that are gathered; all where it is None.
        of_source: (steps, tokens of the limit, height, width), the source's maps where they are known already
            (`p2p.trajectory`): what is added then concerns the targets alone.
    """

    def __init__(self, tokens: Sequence[int] | None = None, of_source: Tensor | None = None) -> None:
        self.tokens = None if tokens is None else list(tokens)
        self.of_source = self.columns(of_source) if of_source is not None else None
        self.of_source_by_step: list[Tensor] = []  # (tokens, height, width) each, what a trajectory keeps
        self.total: Tensor | None = None  # (pictures, tokens, height, width), summed over finished steps
        self.steps = 0

    def columns(self, by_token: Tensor, axis: int = 1) -> Tensor:
        """Of a tensor with an axis of all tokens, those that are gathered."""
        if self.tokens is None:
            return by_token
        return by_token.index_select(axis, torch.tensor(self.tokens, dtype=torch.long, device=by_token.device))

    def place(self, tokens: Sequence[int]) -> list[int]:
        """Where tokens lie on the token axis of the `mean`."""
        return list(tokens) if self.tokens is None else [self.tokens.index(token) for token in tokens]

    def add_step(self, maps: Tensor) -> None:
        """Adds a step's mean over heads and layers, (pictures, tokens, height, width)."""
        if self.of_source is not None:
            maps = torch.cat([self.of_source[self.steps, None].to(maps), maps])
        source = maps[0].clone()  # a view would keep the targets' maps too
        self.total = maps if self.total is None else self.total + maps
        self.of_source_by_step.append(source)
        self.steps += 1

    def mean(self) -> Tensor:
        """(pictures, tokens, height, width): the mean over the steps so far."""
        if self.total is None:
            raise RuntimeError("no step has ended yet: maps exist from the first step on")
        return self.total / self.steps


class Reading:
    """Reads one job's maps in one phase.

    The edit is linear in the maps, so it commutes with every mean: it is applied once a step, to the mean over heads
    and layers.

    Args:
        size: height and width of the maps.
        rows: of the batch, the source first.
        prompts: theirs, among the prompts' keys.
        edit: A (targets, source_tokens, tokens) and B (targets, tokens) of `p2p.plan`; None without a source's row.
    """

    def __init__(
        self,
        maps: AttentionMaps,
        size: tuple[int, int],
        rows: slice,
        prompts: Rows,
        edit: tuple[Tensor, Tensor] | None,
    ) -> None:
        self.maps, self.size, self.rows, self.prompts = maps, size, rows, prompts
        if edit is not None:
            mapper, own = edit
            self.mapper, self.own = maps.columns(mapper, 2), maps.columns(own, 1)[:, None]
        self.has_source = edit is not None
        self._total: Tensor | None = None  # (pictures, positions, tokens), summed over the layers of the step
        self._layers = 0

    def read(
        self, q: Tensor, k: Tensor, pixels: Tensor | None = None, bias: Tensor | None = None, leading: int = 0
    ) -> None:
        """Adds a layer: q (rows, heads, positions, head_dim), k (prompts, heads, columns, head_dim).

        Args:
            pixels: shaped as q, the keys of further columns in the same softmax, which are not read.
            bias: (rows, 1, 1, columns), of these as well.
            leading: columns in front of the tokens, which are not read.
        """
        # Statistics of the softmax in float32, whatever the model's precision.
        columns, keys = k.shape[2], take(k, self.prompts)
        if pixels is not None:
            keys = torch.cat([keys, pixels[self.rows]], 2)
        logits = (q[self.rows].float() @ keys.float().transpose(-1, -2)).mul_(q.shape[-1] ** -0.5)
        if bias is not None:
            logits += bias[self.rows]
        probs = logits.softmax(-1)[..., leading:columns].mean(1)
        self._total = probs if self._total is None else self._total + probs
        self._layers += 1

    def step_maps(self) -> Tensor | None:
        """The mean over heads and layers of what was read since the last call, (pictures, tokens, height, width)."""
        if self._total is None:
            return None
        probs, self._total = self._total / self._layers, None
        self._layers = 0
        if self.has_source:
            source, targets = probs[:1], self.maps.columns(probs[1:], 2)
            edited = source @ self.mapper + targets * self.own
            known = self.maps.of_source is not None
            probs = edited if known else torch.cat([self.maps.columns(source, 2), edited])
        else:
            probs = self.maps.columns(probs, 2)
        return probs.transpose(1, 2).unflatten(-1, self.size)
