"""Attention control: the only thing that sees a run's attention.

The loop says at which step each job is (`at_steps`, `end_step`); it never counts calls, so a layer that is skipped or
evaluated twice cannot put it out of step. It takes queries, keys and values and gives the layer's output, never
probabilities: every rule of the method is linear in the source's and the target's maps and folds into the values
(`p2p.plan`).

Several jobs may share the batch, each at a step of its own. What holds until a window of one of them moves is laid out
once (`p2p.attention.layout`); inside a layer there is no branch on jobs, targets or edit kinds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.functional import scaled_dot_product_attention as sdpa

from p2p.attention.joint import JointLayout, joint_layout
from p2p.attention.layout import (
    CrossLayout,
    EditedRow,
    Fused,
    Rows,
    SelfLayout,
    cross_layout,
    of_rows,
    rows_of,
    self_layout,
    spread_of,
    take,
)
from p2p.attention.maps import AttentionMaps, Reading
from p2p.attention.published import Published
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
        self._published: list[Published] = []  # of the jobs that ask for that method
        self._cross_phases: list[int] = []
        self._self_phases: list[int] = []
        self._text: dict[str, TextProjections] = {}
        self._cross: dict[tuple[int, bool | None], CrossLayout] = {}  # laid out where a site asks for it
        self._self: SelfLayout | None
        self._joint: JointLayout | None  # of sites whose pixels and text share one softmax
        self._spread: Tensor | None  # of every row, which one's queries and keys of pixels it has
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
            self._forget(lambda has_pixels: True)
            self._readings = [self._read_by(job, job.maps, step) if job.maps else None for job, step in at]
            self._reading = [reading for reading in self._readings if reading is not None]
        if own != self._self_phases:
            self._forget(lambda has_pixels: has_pixels is not None)
            self._self = self_layout(len(self.prompts), self._carried(), self.device)
        if cross != self._cross_phases or own != self._self_phases:
            carried = self._carried()
            self._joint = joint_layout(len(self.prompts), self._edited(0), carried, self._matched(), self.device)
            self._spread = spread_of(len(self.prompts), carried, self.device)
        self._published = [
            Published(job.plan.published, self.first + job.rows.source, [self.first + row for row in job.rows.targets])
            for job, step in at
            if job.plan.published is not None and job.rows.source is not None and job.plan.published.schedule[step]
        ]
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
        # Where pixels and text share one softmax, both windows act.
        if self._reads(site) or self.carried(site) is not None or self._layout(site).edits:
            return True
        return site.keys is Keys.JOINT and any(each.acts_at(site) for each in self._published)

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
            layout = self._layout(site)
            kept = self._kept(context, keys, layout.folded(values), layout)
            self._text[site.name] = kept
        return take(kept.keys, kept.key_rows), take(kept.values, kept.value_rows)

    def attend(
        self,
        site: AttentionSite,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        pixels: tuple[Tensor, Tensor] | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """The layer's output with the plans applied.

        A site of both has the columns of text and then those of pixels in one softmax. Words' columns are edited as
        at a site of text alone, pixels' columns are the source's where self-attention is carried over, and nothing is
        normalised again.

        Args:
            q: (rows, heads, positions, head_dim).
            k, v: the same where pixels attend to pixels, with q and k spread as `carried` says: the source's
                probabilities applied to a target's values are the source's q and k with the target's v.
                Of prompts, what `text_projections` gives.
            pixels: of a site of both, the pixels' keys and values, shaped as q.
            bias: (rows, 1, columns of text), added to their logits: where there is padding that nothing attends to.
        Returns:
            (rows, heads, positions, head_dim).
        """
        if site.keys is Keys.IMAGE:
            return sdpa(q, k, v)
        if bias is not None:
            bias = pad(bias, (0, 0 if pixels is None else pixels[0].shape[2]))[:, None]
        if self._reads(site):
            image_k = None if pixels is None else pixels[0]
            for reading in self._reading:
                reading.read(q, self._text[site.name].of_prompts, image_k, bias, site.leading)
        cross = self._layout(site)
        # Gathered with the heads behind the positions, as they lie in memory.
        queries = q if isinstance(cross.queries, slice) else take(q.transpose(1, 2), cross.queries).transpose(1, 2)
        if pixels is not None:
            image_k, image_v = pixels
            shares = cross.pixels[:, None, None, None].to(image_v.dtype)
            k = torch.cat([k, take(image_k, cross.queries)], 2)
            v = torch.cat([v, torch.cat([image_v, take(image_v, cross.added_to)]) * shares], 2)
        out = sdpa(queries, k, v, attn_mask=None if bias is None else take(bias, cross.queries))
        out, added = out[: cross.rows], out[cross.rows :]
        if isinstance(cross.added_to, slice):
            out[cross.added_to] += added
        else:
            out.index_add_(0, cross.added_to, added)
        return out

    def carry(self, site: AttentionSite, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys of pixels with the source's where its self-attention is carried over.

        To be called before they are rotated: where two rows' positions differ, each keeps its own.

        Args:
            q, k: (rows, ...).
        """
        if self._spread is None or not site.is_carried:
            return q, k
        return take(q, self._spread), take(k, self._spread)

    def attend_jointly(
        self,
        site: AttentionSite,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        fused: Fused = sdpa,
        tokens: int | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """The output of a layer in which pixels and text are one sequence (`p2p.attention.joint`).

        Args:
            q, k, v: (rows, heads, positions, head_dim), after `carry`.
            fused: the attention that the layer's own processor calls.
            tokens: positions of the text, where the model leaves out those that no prompt of the batch has.
            mask: (rows, positions) bool, which ones are attended to; None for all.
        """
        image, text = site.parts(q.shape[2], self.tokens if tokens is None else tokens)
        if self._reads(site):
            for reading in self._reading:
                if reading.reads_at(site):
                    reading.read_jointly(q[:, :, image], k, text, fused, mask)
        published = [each for each in self._published if each.acts_at(site)]
        own, seen = (q, k), mask
        for each in published:
            q, k, v = each.taken(q, k, v, image)
            seen = each.masked(seen)
        if self._joint is None:
            out = fused(q, k, v, attn_mask=of_rows(seen, slice(None)))
        else:
            out = self._joint.attend(q, k, v, image, text, fused, seen)
        for each in published:
            each.put_logits(out, *own, v, image, text, fused, mask)
        return out

    def _layout(self, site: AttentionSite) -> CrossLayout:
        """The layout of sites with such columns in the current phase."""
        columns = site.leading, site.is_carried if site.keys is Keys.BOTH else None
        if columns not in self._cross:
            leading, is_carried = columns
            carried = None if is_carried is None else self._carried() if is_carried else {}
            tokens = self.tokens + leading
            self._cross[columns] = cross_layout(self.prompts, self._edited(leading), tokens, self.device, carried)
        return self._cross[columns]

    def _forget(self, concerns: Callable[[bool | None], bool]) -> None:
        """Drops layouts by whether pixels among their columns are carried over (None without any), and all folds."""
        stale = [columns for columns in self._cross if concerns(columns[1])]
        for columns in stale:
            del self._cross[columns]
        if stale:
            self._text.clear()

    def _kept(self, context: Tensor, keys: Tensor, values: Tensor, layout: CrossLayout) -> TextProjections:
        of_calls = layout.calls * keys[0].numel() * keys.element_size()
        if of_calls > GATHERED_UP_TO:
            return TextProjections(context, keys, keys, values, layout.keys, layout.values)
        everything = slice(0, layout.calls)
        gathered = take(keys, layout.keys), take(values, layout.values)
        return TextProjections(context, keys, *gathered, everything, everything)

    @property
    def tokens(self) -> int:
        """Positions of a prompt."""
        return self.jobs[0].plan.cross.alphas.shape[1]

    def _edited(self, leading: int) -> dict[int, EditedRow]:
        edited = {}
        for job, step in zip(self.jobs, self.steps, strict=True):
            mapper, own = job.plan.cross.folded(step)
            for index, target in enumerate(job.rows.targets):
                active = job.plan.cross.schedule[step, index]
                if job.rows.source is not None and active.any():
                    row = EditedRow(self.first + job.rows.source, mapper[index], own[index])
                    edited[self.first + target] = row.after(leading, float(active[0]))
        return edited

    def _carried(self) -> dict[int, int]:
        return {
            self.first + target: self.first + job.rows.source
            for job, step in zip(self.jobs, self.steps, strict=True)
            for index, target in enumerate(job.rows.targets)
            if job.rows.source is not None and job.plan.self_schedule[step, index]
        }

    def _matched(self) -> list[int]:
        """The rows whose text's share of the attention stays their own."""
        return [
            self.first + target
            for job in self.jobs
            for target, matched in zip(job.rows.targets, job.plan.cross.mass_matched, strict=False)
            if matched
        ]

    def _reads(self, site: AttentionSite) -> bool:
        return any(reading.reads_at(site) for reading in self._reading)

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
            matched=job.plan.cross.mass_matched,
            blocks=None if job.plan.published is None else job.plan.published.read_blocks,
            everywhere=job.plan.published is not None and job.plan.published.read_blocks is None,
            tokens=self.tokens,
        )


def grid(size: tuple[int, int], factor: int) -> tuple[int, int]:
    """Height and width of a level: a UNet halves with rounding up."""
    return -(-size[0] // factor), -(-size[1] // factor)
