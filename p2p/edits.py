"""Edit kinds, and the compiler from a spec to a plan. A new kind is one function and one row of `EDITS`."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed

import torch
from torch import Tensor

from p2p import masks
from p2p import spec as asked
from p2p.alignment import filled, refinement_mapper, replacement_mapper
from p2p.correspondence import BY_ITSELF
from p2p.plan import BlendPlan, CrossAttentionEdit, EditPlan
from p2p.tokens import TokenizedPrompt


@dataclass(frozen=True)
class Correspondence:
    """One target's row of the plan while its edits are composed: see `CrossAttentionEdit`, without the first axis."""

    source: TokenizedPrompt
    target: TokenizedPrompt
    mapper: Tensor
    alphas: Tensor
    equalizer: Tensor
    compat: bool = False

    @classmethod
    def identity(cls, source: TokenizedPrompt, target: TokenizedPrompt, *, compat: bool) -> "Correspondence":
        """Every token takes the map of the token at its own position: right where both have the same tokens."""
        ones = torch.ones(target.limit)
        return cls(source, target, torch.eye(source.limit, target.limit), ones, ones, compat)


def replace(edit: asked.Replace, row: Correspondence) -> Correspondence:
    """Word swap: every token of the target takes the map of what stood in its place."""
    mapper = replacement_mapper(row.source, row.target, compat=row.compat)
    # The published code has no alphas here: a column that nothing maps to stays empty.
    alphas = torch.ones_like(row.alphas) if row.compat else has_counterpart(mapper)
    return changed(row, mapper=mapper, alphas=alphas)


def refine(edit: asked.Refine, row: Correspondence) -> Correspondence:
    """Words added or removed: what both prompts share takes the source's map, new words keep their own."""
    mapper = refinement_mapper(row.source, row.target, compat=row.compat)
    alphas = has_counterpart(mapper)
    if edit.filled_by is not None:
        mapper = filled(mapper, row.source, row.target, marked(row.target, edit.filled_by))
    return changed(row, mapper=mapper, alphas=alphas)


def reweight(edit: asked.Reweight, row: Correspondence) -> Correspondence:
    """Words turned up or down, in the way that is asked for."""
    return WEIGHING[edit.by](edit, row)


def _multiplied(edit: asked.Reweight, row: Correspondence) -> Correspondence:
    """Their columns are multiplied, and rows are not normalised again (as published)."""
    equalizer = row.equalizer.clone()
    for name in edit.weights:
        equalizer[list(row.target.named(name.word, name.occurrence))] = name.weight
    return changed(row, equalizer=equalizer)


def _as_it_is(edit: asked.Reweight, row: Correspondence) -> Correspondence:
    """By guidance nothing is done to attention: a row beside says what the prompt is without the word."""
    return row


WEIGHING: Mapping[asked.WeighedBy, Callable[[asked.Reweight, Correspondence], Correspondence]] = {
    "attention": _multiplied,
    "guidance": _as_it_is,
}


EDITS: Mapping[type, Callable[..., Correspondence]] = {
    asked.Replace: replace,
    asked.Refine: refine,
    asked.Reweight: reweight,
}


def aligned(edits: Sequence[asked.Edit], *, compat: bool) -> Sequence[asked.Edit]:
    """The edits of a target, after the one that aligns its tokens if none of them does.

    Prompts of the same words need not have the same tokens: a comma moves every token behind it. The published code
    reads the source by position.
    """
    if compat or any(edit.aligns for edit in edits):
        return edits
    return (asked.aligning_edit(BY_ITSELF), *edits)


def has_counterpart(mapper: Tensor) -> Tensor:
    """(target_tokens,) 1 where a mapper's column has any source token, else 0."""
    return (mapper.sum(0) > 0).float()


def compile_plan(
    spec: asked.EditSpec, prompts: Sequence[TokenizedPrompt], steps: int, beside: Sequence[asked.Target] = ()
) -> EditPlan:
    """The plan of a spec, whose prompts are tokenized, for a run of `steps` steps.

    Args:
        prompts: of the source, of the targets, if there are any, and of what is drawn `beside` them.
        beside: targets that are no pictures; they come last, and have no blend.
    """
    source, *targets = prompts
    if not targets:
        return EditPlan.empty(steps, 0, source.limit)
    compat = spec.compat == "reference"
    rows = []
    drawn = (*spec.targets, *beside)
    for target, tokens in zip(drawn, targets, strict=True):
        row = Correspondence.identity(source, tokens, compat=compat)
        for edit in aligned(target.edits or (), compat=compat):
            row = EDITS[type(edit)](edit, row)
        rows.append(row)
    cross = CrossAttentionEdit(
        mapper=torch.stack([row.mapper for row in rows]),
        alphas=torch.stack([row.alphas for row in rows]),
        equalizer=torch.stack([row.equalizer for row in rows]),
        schedule=torch.stack(
            [cross_schedule(t, row.target, steps, compat) for t, row in zip(drawn, rows, strict=True)], 1
        ),
        mass_matched=tuple(target.mass == "mass_matched" for target in spec.targets),
    )
    self_schedule = torch.stack([in_window(t.self_window, steps, compat) for t in drawn], 1)
    blend = blend_plan(spec.targets, rows[: len(spec.targets)], steps)
    return EditPlan(steps=steps, cross=cross, self_schedule=self_schedule, blend=blend)


def step_at(share: float, steps: int, *, compat: bool) -> int:
    """The step that a share of the run names: the nearest one, halves up; the published code truncates."""
    # 5e-7 undoes floating point: .29 * 50 is 14.499999999999998, a half that would go down.
    return int(share * steps) if compat else math.floor(share * steps + 0.5 + 5e-7)


def in_window(window: asked.StepWindow, steps: int, compat: bool, rows: int | None = None) -> Tensor:
    """(steps,) bool: the steps of a window, half open. `rows`: steps by which the shares are counted, if not these."""
    if window.unit == "steps":
        start, stop = window.start, window.stop
    else:
        start, stop = (step_at(share, rows or steps, compat=compat) for share in (window.start, window.stop))
    index = torch.arange(steps)
    return (start <= index) & (index < stop)


def cross_schedule(target: asked.Target, tokens: TokenizedPrompt, steps: int, compat: bool) -> Tensor:
    """(steps, tokens) of zeros and ones: the target's cross window, and the windows of single words over it."""
    # The published table has a row more than there are steps, by which it takes its shares.
    rows = steps + 1 if compat else steps
    schedule = in_window(target.cross_window, steps, compat, rows)[:, None].repeat(1, tokens.limit)
    for name in target.word_windows:
        inside = in_window(name.window, steps, compat, rows)
        schedule[:, list(tokens.named(name.word, name.occurrence))] = inside[:, None]
    return schedule.float()


def blend_plan(targets: Sequence[asked.Target], rows: Sequence[Correspondence], steps: int) -> BlendPlan | None:
    """The local blends of all targets, None if there is none."""
    if not any(target.local_blend for target in targets):
        return None
    words, subtract, thresholds, subtract_thresholds, first, held = [], [], [], [], [], []
    for target, row in zip(targets, rows, strict=True):
        blend = target.local_blend
        names = blend or asked.LocalBlend(box=masks.EVERYWHERE)
        own = marked(row.target, names.words)
        if names.source_words is None:
            # Where the named tokens' maps come from. Counted over the mapper alone: reweighting moves no word.
            from_source = ((row.mapper * row.alphas) @ own > 0).float()
        else:
            from_source = marked(row.source, names.source_words)
        words.append(torch.stack([from_source, own]))
        subtract.append(
            torch.stack([marked(row.source, names.source_subtract_words), marked(row.target, names.subtract_words)])
        )
        thresholds.append(names.threshold)
        subtract_thresholds.append(names.subtract_threshold)
        held.append(marked(row.source, target.room.beside if target.room else ()))
        first.append(step_at(names.start, steps, compat=row.compat) if blend else steps)
    return BlendPlan(
        words=torch.stack(words),
        subtract_words=torch.stack(subtract),
        threshold=torch.tensor(thresholds),
        subtract_threshold=torch.tensor(subtract_thresholds),
        first_step=torch.tensor(first),
        held=torch.stack(held) if any(target.room for target in targets) else None,
    )


def marked(tokens: TokenizedPrompt, names: Sequence[asked.WordName]) -> Tensor:
    """(tokens,) 1 at the positions of the named words."""
    mask = torch.zeros(tokens.limit)
    for name in names:
        mask[list(tokens.named(name.word, name.occurrence))] = 1
    return mask
