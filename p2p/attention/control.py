"""Attention control: the only thing that sees a run's attention.

The loop tells it the step (`at_step`, `end_step`); it never counts calls, so a layer that is skipped or evaluated
twice cannot put it out of step. It takes queries, keys and values and gives the layer's output, never probabilities:
every rule of the method is linear in the source's and the target's maps and folds into the values (`p2p.plan`).

Several jobs may share the batch. What a step needs is laid out once, at its beginning, as tensors over the rows that
are edited then; inside a layer there is no branch on jobs, targets or edit kinds.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

from p2p.attention.maps import AttentionMaps
from p2p.attention.sites import AttentionSite, Keys, Levels
from p2p.plan import EditPlan


@dataclass(frozen=True)
class PairRows:
    """Rows of one source and its targets among the rows of a run; no source where it is known and not needed."""

    source: int | None
    targets: tuple[int, ...]

    @property
    def slice(self) -> slice:
        """The rows, where the targets stand right behind their source."""
        first = self.targets[0] if self.source is None else self.source
        return slice(first, self.targets[-1] + 1)


@dataclass(frozen=True)
class Controlled:
    """One job's part of a control: what is done to which rows, and where its maps are gathered, if anywhere."""

    plan: EditPlan
    rows: PairRows
    maps: AttentionMaps | None = None

    def __post_init__(self) -> None:
        if self.plan.blend is not None and self.maps is None:
            raise ValueError("a plan with a local blend reads maps: give it some to gather in")


@dataclass(frozen=True)
class CrossStep:
    """The cross-attention rows that are edited at one step.

    Attributes:
        targets, sources: (edited,) rows of the batch.
        from_source: (edited, source_tokens, target_tokens), A of `p2p.plan`.
        own: (edited, target_tokens), B of `p2p.plan`; None where it is zero everywhere.
    """

    targets: Tensor
    sources: Tensor
    from_source: Tensor
    own: Tensor | None


class AttentionControl:
    """Plans applied to the rows of one batch. Lives for one run.

    Args:
        jobs: the parts of the batch, which share their number of steps.
        levels: at which resolutions attention is read and carried over.
        size: height and width of the latents.
        unconditional: how many unconditional rows, which are never edited, come before the others in the batch.
        device, dtype: of the model.
    """

    def __init__(
        self,
        jobs: Sequence[Controlled],
        levels: Levels,
        size: tuple[int, int],
        *,
        unconditional: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.jobs, self.levels, self.size, self.first = jobs, levels, size, unconditional
        self.device, self.dtype = device, dtype
        self.step = -1
        self._cross: CrossStep | None = None
        self._carried: Mapping[int, int] = {}
        self._reading: list[tuple[PairRows, AttentionMaps, Tensor, Tensor]] = []
        self._text: dict[str, tuple[Tensor, Tensor, Tensor]] = {}

    def at_step(self, step: int) -> None:
        """Lays out what the step needs; 0 is the noisiest."""
        self.step = step
        # Plans stay on the CPU until here: what they hold decides the layout, and looking at a tensor on a GPU waits.
        folded = [job.plan.cross.folded(step) for job in self.jobs]
        rows = [
            (self.first + target, self.first + job.rows.source, mapper[index], own[index])
            for job, (mapper, own) in zip(self.jobs, folded, strict=True)
            for index, target in enumerate(job.rows.targets)
            if job.rows.source is not None and job.plan.cross.schedule[step, index].any()
        ]
        self._cross = self._laid_out(rows) if rows else None
        self._carried = {
            self.first + target: self.first + job.rows.source
            for job in self.jobs
            for index, target in enumerate(job.rows.targets)
            if job.rows.source is not None and job.plan.self_schedule[step, index]
        }
        self._reading = [
            (job.rows, job.maps, mapper.to(self.device), own.to(self.device))
            for job, (mapper, own) in zip(self.jobs, folded, strict=True)
            if job.maps
        ]

    def end_step(self) -> None:
        """Closes the step, after the last model call of it."""
        for job in self.jobs:
            if job.maps:
                job.maps.end_step()

    def is_active(self, site: AttentionSite) -> bool:
        """Whether anything is done at this site and step that the plain model does not do."""
        if site.keys is Keys.IMAGE:
            return site.factor >= self.levels.self_attention and bool(self._carried)
        return self._cross is not None or self._reads(site)

    def projected_rows(self, batch: int) -> list[int]:
        """The rows whose self-attention is computed at this step: of the others it is their source's."""
        return [row for row in range(batch) if row not in self._carried]

    def text_projections(self, site: AttentionSite, context: Tensor | None, project) -> tuple[Tensor, Tensor]:
        """A site's keys and values of the prompts: projected once for as long as the context is the same tensor."""
        kept = self._text.get(site.name)
        if kept is None or kept[0] is not context:
            kept = (context, *project(context))
            self._text[site.name] = kept
        return kept[1], kept[2]

    def attend(self, site: AttentionSite, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The layer's output with the plans applied.

        Args:
            q, k, v: (batch, heads, positions, head_dim); where pixels attend to pixels, q and k hold the
                `projected_rows` only.
        Returns:
            (batch, heads, positions, head_dim).
        """
        if site.keys is Keys.IMAGE:
            # The source's probabilities applied to a target's values are the source's q and k with the target's v.
            place = {row: index for index, row in enumerate(self.projected_rows(len(v)))}
            taken = [place[self._carried.get(row, row)] for row in range(len(v))]
            return sdpa(q[taken], k[taken], v)
        if self._reads(site):
            self._read(site, q, k)
        return sdpa(q, k, v) if self._cross is None else self._cross_attention(self._cross, q, k, v)

    def _cross_attention(self, cross: CrossStep, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        values = v[cross.targets]  # (edited, heads, tokens, head_dim)
        from_source = torch.einsum("rsn,rhnd->rhsd", cross.from_source, values)
        if cross.own is None:
            taken = torch.arange(len(q), device=q.device).index_copy(0, cross.targets, cross.sources)
            return sdpa(q[taken], k[taken], v.index_copy(0, cross.targets, from_source))
        out = sdpa(q, k, v.index_copy(0, cross.targets, values * cross.own[:, None, :, None]))
        return out.index_add(0, cross.targets, sdpa(q[cross.sources], k[cross.sources], from_source))

    def _reads(self, site: AttentionSite) -> bool:
        return bool(self._reading) and site.keys is Keys.TEXT and site.factor == self.levels.maps

    def _read(self, site: AttentionSite, q: Tensor, k: Tensor) -> None:
        """Adds this layer's edited maps. Averaged over heads first: the edit is linear, so it commutes."""
        for of_job, maps, mapper, own in self._reading:
            rows = slice(self.first + of_job.slice.start, self.first + of_job.slice.stop)
            logits = q[rows].float() @ k[rows].float().transpose(-1, -2) * q.shape[-1] ** -0.5
            probs = logits.softmax(-1).mean(1)  # (pictures, positions, tokens)
            if of_job.source is not None:
                source, targets = probs[:1], probs[1:]
                edited = source @ mapper + targets * own[:, None]
                probs = edited if maps.of_source is not None else torch.cat([source, edited])
            maps.add(probs, grid(self.size, site.factor))

    def _laid_out(self, rows: Sequence[tuple[int, int, Tensor, Tensor]]) -> CrossStep:
        targets, sources, mappers, owns = zip(*rows, strict=True)
        own = torch.stack(owns)
        return CrossStep(
            targets=torch.tensor(targets, device=self.device),
            sources=torch.tensor(sources, device=self.device),
            from_source=torch.stack(mappers).to(self.device, self.dtype),
            own=own.to(self.device, self.dtype) if own.any() else None,
        )


def grid(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """Height and width of a level: a UNet halves with rounding up."""
    return -(-size[0] // factor), -(-size[1] // factor)


@contextmanager
def controlled(layers: Mapping[str, Any], processors: Mapping[str, Any]) -> Iterator[None]:
    """Installs attention processors, and always puts back what was there.

    Args:
        layers: diffusers' `Attention` modules by the name of their processor.
        processors: by the same names.
    """
    # Not by the model's `set_attn_processor`: that walks all modules, which small models feel at every step.
    before = {name: layers[name].processor for name in processors}
    try:
        for name, processor in processors.items():
            layers[name].set_processor(processor)
        yield
    finally:
        for name, processor in before.items():
            layers[name].set_processor(processor)
