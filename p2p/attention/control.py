"""Attention control: the only thing that sees a run's attention.

The loop says at which step each job is (`at_steps`, `end_step`); it never counts calls, so a layer that is skipped or
evaluated twice cannot put it out of step. It takes queries, keys and values and gives the layer's output, never
probabilities: every rule of the method is linear in the source's and the target's maps and folds into the values
(`p2p.plan`).

Several jobs may share the batch, each at a step of its own. What holds until a window of one of them moves is laid out
once (`p2p.attention.layout`); inside a layer there is no branch on jobs, targets or edit kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

from p2p.attention.layout import (
    CrossLayout,
    EditedRow,
    Rows,
    SelfLayout,
    cross_layout,
    rows_of,
    self_layout,
    take,
)
from p2p.attention.maps import AttentionMaps, Reading
from p2p.attention.sites import AttentionSite, Keys
from p2p.plan import EditPlan


@dataclass(frozen=True)
class PairRows:
    """Rows of one source and its targets among the rows of a run; no source where it is known and not needed.

    Attributes:
        beside: how many of the last targets are no pictures: their maps are not read.
    """

    source: int | None
    targets: tuple[int, ...]
    beside: int = 0

    def __len__(self) -> int:
        return len(self.targets) + (self.source is not None)

    @property
    def slice(self) -> slice:
        """The rows, where the targets stand right behind their source."""
        first = self.targets[0] if self.source is None else self.source
        return slice(first, first + len(self))


@dataclass(frozen=True)
class Controlled:
    """One job's part of a control: what is done to which rows, and where its maps are gathered, if anywhere."""

    plan: EditPlan
    rows: PairRows
    maps: AttentionMaps | None = None

    def __post_init__(self) -> None:
        if self.plan.blend is not None and self.maps is None:
            raise ValueError("a plan with a local blend reads maps: give it some to gather in")


#: Bytes of all calls' keys of one site up to which they are gathered once a phase, not once a step. A small model's
#: step is mostly such small change, and `benchmarks.sampler` shows it on `scenes`; a large one would only pay for it in
#: memory.
GATHERED_UP_TO = 448 * 1024


class TextProjections(NamedTuple):
    """What one site makes of the prompts in one phase, and which rows of it every call takes."""

    context: Tensor
    of_prompts: Tensor  # keys, as maps are read from them: (prompts, heads, tokens, head_dim)
    keys: Tensor
    values: Tensor
    key_rows: Rows
    value_rows: Rows


class AttentionControl:
    """Plans applied to the rows of one batch. Lives for as long as the same jobs share it.

    Args:
        jobs: the parts of the batch.
        map_factor: of the sites whose maps are read.
        size: height and width of the latents.
        prompts: of every row of the batch the number of its prompt, as they first appear; rows of one text share
            their keys and values. By default every row has its own.
        unconditional: how many unconditional rows, which are never edited, come before the others in the batch.
        device: of the model.
    """

    def __init__(
        self,
        jobs: Sequence[Controlled],
        map_factor: int,
        size: tuple[int, int],
        *,
        prompts: Sequence[int] | None = None,
        unconditional: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.jobs, self.map_factor, self.size, self.first, self.device = jobs, map_factor, size, unconditional, device
        rows = unconditional + sum(len(job.rows) for job in jobs)
        self.prompts = list(range(rows)) if prompts is None else list(prompts)
        self._first_row_of_prompt = rows_of(
            [self.prompts.index(prompt) for prompt in range(max(self.prompts) + 1)], rows, device
        )
        self.steps: tuple[int, ...] = ()  # at which each job is
        self._cross_phases: list[int] = []
        self._self_phases: list[int] = []
        self._text: dict[str, TextProjections] = {}
        self._cross: CrossLayout
        self._self: SelfLayout | None
        self._readings: list[Reading | None]  # of each job
        self._reading: list[Reading]

    def at_step(self, step: int) -> None:
        """Says at which step all jobs are; 0 is the noisiest."""
        self.at_steps([step] * len(self.jobs))

    def at_steps(self, steps: Sequence[int]) -> None:
        """Says at which step each job is. Only if a window of some job opens or closes is there anything to lay out."""
        self.steps = tuple(steps)
        # Plans stay on the CPU until here: what they hold decides the layout, and looking at a tensor on a GPU waits.
        at = list(zip(self.jobs, steps, strict=True))
        cross, own = (
            [job.plan.cross_phases[step] for job, step in at],
            [job.plan.self_phases[step] for job, step in at],
        )
        if cross != self._cross_phases:
            self._cross = cross_layout(self.prompts, self._edited(), self._tokens, self.device)
            self._readings = [self._read_by(job, job.maps, step) if job.maps else None for job, step in at]
            self._reading = [reading for reading in self._readings if reading is not None]
            self._text.clear()
        if own != self._self_phases:
            self._self = self_layout(len(self.prompts), self._carried(), self.device)
        self._cross_phases, self._self_phases = cross, own

    def step_maps(self) -> list[Tensor | None]:
        """Each job's maps of this step, after the last model call of it; None if none were read. Changes no job."""
        return [None if reading is None else reading.step_maps() for reading in self._readings]

    def end_step(self) -> None:
        """Closes the step: what was read of it now counts in the maps of each job."""
        for job, of_step in zip(self.jobs, self.step_maps(), strict=True):
            if job.maps is not None and of_step is not None:
                job.maps.add_step(of_step)

    def is_active(self, site: AttentionSite) -> bool:
        """Whether anything is done at this site and step that the plain model does not do."""
        if site.keys is Keys.IMAGE:
            return self.carried(site) is not None
        return self._cross.edits or self._reads(site)

    def carried(self, site: AttentionSite) -> SelfLayout | None:
        """Which rows' queries and keys a site of pixels needs at this step, and who takes whose; None for all."""
        return self._self if site.is_carried else None

    def text_projections(self, site: AttentionSite, context: Tensor, project) -> tuple[Tensor, Tensor]:
        """A site's keys and folded values, a row for every call: computed once for as long as context and phase stay.

        Args:
            context: (rows, tokens, channels).
            project: makes keys and values, (prompts, heads, tokens, head_dim) each, of (prompts, tokens, channels).
        """
        kept = self._text.get(site.name)
        if kept is None or kept.context is not context:
            keys, values = project(take(context, self._first_row_of_prompt))
            kept = self._kept(context, keys, self._cross.folded(values))
            self._text[site.name] = kept
        return take(kept.keys, kept.key_rows), take(kept.values, kept.value_rows)

    def attend(self, site: AttentionSite, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The layer's output with the plans applied.

        Args:
            q: (rows, heads, positions, head_dim).
            k, v: the same where pixels attend to pixels, with q and k spread as `carried` says: the source's
                probabilities applied to a target's values are the source's q and k with the target's v.
                Of prompts, what `text_projections` gives.
        Returns:
            (rows, heads, positions, head_dim).
        """
        if site.keys is Keys.IMAGE:
            return sdpa(q, k, v)
        if self._reads(site):
            for reading in self._reading:
                reading.read(q, self._text[site.name].of_prompts)
        cross = self._cross
        # Gathered with the heads behind the positions, as they lie in memory.
        queries = q if isinstance(cross.queries, slice) else take(q.transpose(1, 2), cross.queries).transpose(1, 2)
        out = sdpa(queries, k, v)
        out, added = out[: cross.rows], out[cross.rows :]
        if isinstance(cross.added_to, slice):
            out[cross.added_to] += added
        else:
            out.index_add_(0, cross.added_to, added)
        return out

    def _kept(self, context: Tensor, keys: Tensor, values: Tensor) -> TextProjections:
        layout = self._cross
        of_calls = layout.calls * keys[0].numel() * keys.element_size()
        if of_calls > GATHERED_UP_TO:
            return TextProjections(context, keys, keys, values, layout.keys, layout.values)
        everything = slice(0, layout.calls)
        gathered = take(keys, layout.keys), take(values, layout.values)
        return TextProjections(context, keys, *gathered, everything, everything)

    @property
    def _tokens(self) -> int:
        return self.jobs[0].plan.cross.alphas.shape[1]

    def _edited(self) -> dict[int, EditedRow]:
        edited = {}
        for job, step in zip(self.jobs, self.steps, strict=True):
            mapper, own = job.plan.cross.folded(step)
            for index, target in enumerate(job.rows.targets):
                if job.rows.source is not None and job.plan.cross.schedule[step, index].any():
                    edited[self.first + target] = EditedRow(self.first + job.rows.source, mapper[index], own[index])
        return edited

    def _carried(self) -> dict[int, int]:
        return {
            self.first + target: self.first + job.rows.source
            for job, step in zip(self.jobs, self.steps, strict=True)
            for index, target in enumerate(job.rows.targets)
            if job.rows.source is not None and job.plan.self_schedule[step, index]
        }

    def _reads(self, site: AttentionSite) -> bool:
        return bool(self._reading) and site.is_read

    def _read_by(self, job: Controlled, maps: AttentionMaps, step: int) -> Reading:
        mapper, own = job.plan.cross.folded(step)
        pictures = len(job.rows.targets) - job.rows.beside
        rows = slice(self.first + job.rows.slice.start, self.first + job.rows.slice.stop - job.rows.beside)
        return Reading(
            maps=maps,
            size=grid(self.size, self.map_factor),
            rows=rows,
            prompts=rows_of(self.prompts[rows], max(self.prompts) + 1, self.device),
            edit=None
            if job.rows.source is None
            else (mapper[:pictures].to(self.device), own[:pictures].to(self.device)),
        )


def grid(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """Height and width of a level: a UNet halves with rounding up."""
    return -(-size[0] // factor), -(-size[1] // factor)
