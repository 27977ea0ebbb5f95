"""Where words act: cross-attention averaged over heads, layers and steps, reduced as soon as it is seen."""

from collections import deque
from collections.abc import Container, Sequence

import torch
from torch import Tensor

from p2p.attention.layout import Fused, Rows, of_rows, take
from p2p.attention.sites import AttentionSite, Keys


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


class RecentMaps(AttentionMaps):
    """The mean of the last few steps of a window, as the published method of joint attention blends by it.

    Args:
        window: the steps that count.
        last: how many of them at most; all where it is None.
    """

    def __init__(
        self, window: range, last: int | None, tokens: Sequence[int] | None = None, of_source: Tensor | None = None
    ) -> None:
        super().__init__(tokens, of_source)
        self._window = window
        self._recent: deque[Tensor] = deque(maxlen=last)

    def add_step(self, maps: Tensor) -> None:
        before, index = self.total, self.steps
        super().add_step(maps)
        assert self.total is not None
        if index in self._window:
            self._recent.append(self.total if before is None else self.total - before)

    def mean(self) -> Tensor:
        return torch.stack(list(self._recent)).mean(0) if self._recent else super().mean()


class Reading:
    """Reads one job's maps in one phase.

    The edit is linear in the maps, so it commutes with every mean: it is applied once a step, to the mean over heads
    and layers.

    Args:
        size: height and width of the maps.
        rows: of the batch, the source first.
        prompts: theirs, among the prompts' keys.
        edit: A (targets, source_tokens, tokens) and B (targets, tokens) of `p2p.plan`; None without a source's row.
        matched: of each target, whether its text's share of the attention is its own (`p2p.attention.joint`).
        blocks: at which joint sites it reads; None for those that say so (`AttentionSite.is_read`).
        everywhere: whether it reads at all joint sites.
        tokens: positions of a prompt.
    """

    def __init__(
        self,
        maps: AttentionMaps,
        size: tuple[int, int],
        rows: slice,
        prompts: Rows,
        edit: tuple[Tensor, Tensor] | None,
        matched: Sequence[bool] = (),
        blocks: Container[int] | None = None,
        everywhere: bool = False,
        tokens: int = 0,
    ) -> None:
        self.maps, self.size, self.rows, self.prompts = maps, size, rows, prompts
        if edit is not None:
            mapper, own = edit
            self.mapper, self.own = maps.columns(mapper, 2), maps.columns(own, 1)[:, None]
        self.has_source = edit is not None
        self.blocks, self.everywhere, self.tokens = blocks, everywhere, tokens
        self.matched = [index for index, is_matched in enumerate(matched) if is_matched and edit is not None]
        self._total: Tensor | None = None  # (pictures, positions, tokens), summed over the layers of the step
        self._taken: Tensor | None = None  # (targets, positions, tokens), the source's as each target takes them
        self._layers = 0

    def reads_at(self, site: AttentionSite) -> bool:
        """Whether it reads the maps of a site."""
        if self.everywhere or self.blocks is not None:
            return site.keys is Keys.JOINT and (self.blocks is None or site.block in self.blocks)
        return site.is_read

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
        self._add(logits.softmax(-1)[..., leading:columns].mean(1))

    def read_jointly(self, q: Tensor, k: Tensor, text: slice, fused: Fused, mask: Tensor | None = None) -> None:
        """Adds a layer of pixels and text in one softmax, without its matrix: columns of it, as one-hot values.

        Args:
            q: (rows, heads, pixels, head_dim). Padding behind the picture's own positions is left out.
            k: (rows, heads, positions, head_dim), of pixels and text.
            text: where the text is among the positions.
            fused: the layer's attention.
            mask: (rows, positions) bool, which ones are attended to.
        """
        q, k, seen = q[self.rows, :, : self.size[0] * self.size[1]], k[self.rows], of_rows(mask, self.rows)
        # Tokens that no prompt of the batch has are nowhere.
        columns = [column for column in self._columns(self.tokens) if column < text.stop - text.start]
        width, place = q.shape[-1], text.start
        # (1, positions, columns) of zeros and ones; the last column is all of the text.
        chosen = q.new_zeros(1, k.shape[2], -(-(len(columns) + 1) // width) * width)
        chosen[0, [place + column for column in columns], range(len(columns))] = 1
        chosen[0, text, len(columns)] = 1
        each = (fused(q, k, part.expand(*k.shape[:2], -1, -1), attn_mask=seen) for part in chosen.split(width, -1))
        found = torch.cat(list(each), -1)[..., : len(columns) + 1].float()
        words, share = found[..., :-1], found[..., -1:]
        if self.matched:
            ratio = torch.ones_like(share[1:])
            ratio[self.matched] = share[1:][self.matched] / share[:1]
            taken = self._all_of((words[:1] * ratio).mean(1), columns)
            self._taken = taken if self._taken is None else self._taken + taken
        self._add(self._all_of(words.mean(1), columns))

    def _columns(self, tokens: int) -> list[int]:
        """The tokens whose maps are needed: those that are gathered, and those of the source that they are made of."""
        if self.maps.tokens is None:
            return list(range(tokens))
        sources = self.mapper.any(-1).any(0).nonzero().flatten().tolist() if self.has_source else []
        return sorted({*self.maps.tokens, *sources})

    def _all_of(self, words: Tensor, columns: Sequence[int]) -> Tensor:
        """Columns at their places among all tokens of a prompt; the others are zero."""
        found = words.new_zeros(*words.shape[:-1], self.tokens)
        found[..., list(columns)] = words
        return found

    def _add(self, probs: Tensor) -> None:
        self._total = probs if self._total is None else self._total + probs
        self._layers += 1

    def step_maps(self) -> Tensor | None:
        """The mean over heads and layers of what was read since the last call, (pictures, tokens, height, width)."""
        if self._total is None:
            return None
        probs, self._total = self._total / self._layers, None
        taken, self._taken = self._taken, None
        layers = self._layers
        self._layers = 0
        if self.has_source:
            source, targets = probs[:1], self.maps.columns(probs[1:], 2)
            taken = source if taken is None else taken / layers
            edited = taken @ self.mapper + targets * self.own
            known = self.maps.of_source is not None
            probs = edited if known else torch.cat([self.maps.columns(source, 2), edited])
        else:
            probs = self.maps.columns(probs, 2)
        return probs.transpose(1, 2).unflatten(-1, self.size)
