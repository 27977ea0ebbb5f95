"""Attention control: the only thing that sees a run's attention.

The loop tells it the step (`at_step`, `end_step`); it never counts calls, so a layer that is skipped or evaluated
twice cannot put it out of step. It takes queries, keys and values and gives the layer's output, never probabilities:
every rule of the method is linear in the source's and the target's maps and folds into the values (`p2p.plan`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

from p2p.attention.maps import AttentionMaps
from p2p.attention.sites import AttentionSite, Keys, Levels
from p2p.plan import EditPlan


@dataclass(frozen=True)
class PairRows:
    """Rows of one source and its targets in the batch: the conditional ones, the only ones that are edited."""

    source: int
    targets: tuple[int, ...]


class AttentionControl:
    """A plan, applied to the rows of one run. Lives for that run.

    Args:
        plan: what to carry over, on the run's device.
        rows: which rows of the batch it concerns.
        levels: at which resolutions.
        size: height and width of the latents.
        maps: where to gather word maps, if anywhere.
    """

    def __init__(
        self, plan: EditPlan, rows: PairRows, levels: Levels, size: tuple[int, int], maps: AttentionMaps | None
    ) -> None:
        if plan.blend is not None and maps is None:
            raise ValueError("a plan with a local blend reads maps: give it some to gather in")
        self.plan, self.rows, self.levels, self.size, self.maps = plan, rows, levels, size, maps
        self.step = -1
        self.targets = torch.tensor(rows.targets, device=plan.cross.mapper.device)
        # Read once: a look at a tensor's content inside the loop would wait for the device at every layer.
        self._carries_cross = plan.cross.schedule.flatten(1).any(1).tolist()
        self._own_needed = [bool((plan.cross.folded(step)[1] != 0).any()) for step in range(plan.steps)]
        self._carried = plan.self_schedule.tolist()

    def at_step(self, step: int) -> None:
        """Sets the step, 0 for the noisiest."""
        self.step = step

    def end_step(self) -> None:
        """Closes the step, after the last model call of it."""
        if self.maps:
            self.maps.end_step()

    def is_active(self, site: AttentionSite) -> bool:
        """Whether `attend` does anything at this site and step that the plain model does not."""
        if site.keys is Keys.IMAGE:
            return site.factor >= self.levels.self_attention and any(self._carried[self.step])
        return self._carries_cross[self.step] or self._reads(site)

    def attend(self, site: AttentionSite, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The layer's output with the plan applied, (batch, heads, positions, head_dim) like its arguments."""
        if site.keys is Keys.IMAGE:
            return self._self_attention(q, k, v)
        if self.maps is not None and self._reads(site):
            self._read(self.maps, site, q, k)
        return self._cross_attention(q, k, v) if self._carries_cross[self.step] else sdpa(q, k, v)

    def _self_attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # The source's probabilities applied to a target's values are the source's q and k with the target's v.
        taken = self._with_source(len(q), self._carried[self.step])
        return sdpa(q[taken], k[taken], v)

    def _cross_attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mapper, own = (t.to(v.dtype) for t in self.plan.cross.folded(self.step))
        source, targets = self.rows.source, self.targets
        values = v[targets]  # (targets, heads, tokens, head_dim)
        from_source = torch.einsum("tsn,thnd->thsd", mapper, values)
        count = [-1] * len(q.shape)
        count[0] = len(targets)
        if not self._own_needed[self.step]:
            taken = self._with_source(len(q), [True] * len(targets))
            return sdpa(q[taken], k[taken], v.index_copy(0, targets, from_source))
        v = v.index_copy(0, targets, values * own[:, None, :, None])
        # One call for both terms: the source's attention over the folded values rides along as extra rows.
        out = sdpa(
            torch.cat([q, q[source : source + 1].expand(count)]),
            torch.cat([k, k[source : source + 1].expand(count)]),
            torch.cat([v, from_source]),
        )
        return out[: len(q)].index_add(0, targets, out[len(q) :])

    def _with_source(self, batch: int, carried: Sequence[bool]) -> list[int]:
        """Per row of the batch the row it takes q and k from: its own, or its source's where carried over."""
        taken = list(range(batch))
        for row, from_source in zip(self.rows.targets, carried, strict=True):
            if from_source:
                taken[row] = self.rows.source
        return taken

    def _reads(self, site: AttentionSite) -> bool:
        return self.maps is not None and site.keys is Keys.TEXT and site.factor == self.levels.maps

    def _read(self, maps: AttentionMaps, site: AttentionSite, q: Tensor, k: Tensor) -> None:
        """Adds this layer's edited maps. Averaged over heads first: the edit is linear, so it commutes."""
        rows = [self.rows.source, *self.rows.targets]
        logits = q[rows].float() @ k[rows].float().transpose(-1, -2) * q.shape[-1] ** -0.5
        probs = logits.softmax(-1).mean(1)  # (pictures, positions, tokens)
        mapper, own = self.plan.cross.folded(self.step)
        edited = probs[:1] @ mapper + probs[1:] * own[:, None]
        maps.add(torch.cat([probs[:1], edited]), grid(self.size, site.factor))


def grid(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """Height and width of a level: a UNet halves with rounding up."""
    return -(-size[0] // factor), -(-size[1] // factor)


@contextmanager
def controlled(unet, processors: Mapping[str, object]) -> Iterator[None]:
    """Installs attention processors, and always puts back what was there."""
    before = dict(unet.attn_processors)
    try:
        # Copies: diffusers empties the dictionary that it is given.
        unet.set_attn_processor(dict(before) | dict(processors))
        yield
    finally:
        unet.set_attn_processor(dict(before))
