"""Additions as several rows of a run, of which one becomes the picture (after Add-it, arXiv 2411.07232).

What stands in a picture is kept where it is for the first half of the run, and the rest is free: else a new thing has
no room. Whether it came to be, the model says (`p2p.cohort.presence`). Of tokens its word's map does, next to that of
the thing beside and to that of the free row. The numbers were found on the built-in model (docs/automatic.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from p2p.attention.maps import AttentionMaps
from p2p.families.encoded import joined
from p2p.preparation import Prepared
from p2p.rooms import KEPT_ROWS
from p2p.spec import EditSpec, Room, Target

#: A new thing is there if the picture lies this far on the way from what the source's prompt says to what its own
#: does, times how strongly the new word acts beside how it does in the free row: a deformed thing is often near by the
#: first, and its word acts little. Chosen with the judge on 84 additions of three seeds, and the documented seed's
#: preservation. A higher bound makes more layouts anew, a lower one shows more deformed things.
_NEAR = 0.46
#: By maps: it is there if its word's peak is this share of that of the thing beside, and as wide as in the free row,
_PEAK = 0.6
#: or if it is nearly as high and as wide as in the free row: a missing thing has .65 and .5 of these at most.
_AS_HIGH, _AS_WIDE = 0.95, 0.9


def chosen_rows(
    job: Prepared, spec: EditSpec, shares: Mapping[int, float] | None = None
) -> tuple[list[int], tuple[bool | None, ...]]:
    """Which of a run's rows become its pictures, and of each target whether its layout was made anew; None: no room.

    Args:
        job: of the expanded spec, after its last step.
        spec: as it was before.
        shares: of each kept row, how much it shows what is added; None if the maps are to say it.
    """
    rows, anew = [0], list[bool | None]()
    for free, kept, target in zip(first_rows(spec), kept_rows(spec), spec.targets, strict=True):
        best = None
        if target.room is not None:
            looked = (job, target.room, free, kept)
            best = _best_by_maps(*looked) if shares is None else _best(shares, *looked)
        anew.append(None if target.room is None else best is None)
        rows.append(free if best is None else best)
    return rows, tuple(anew)


def first_rows(spec: EditSpec) -> Iterator[int]:
    """The number of each target's first row, which is free where it has others."""
    row = 1
    for target in spec.targets:
        yield row
        row += 1 if target.room is None else 1 + KEPT_ROWS


def kept_rows(spec: EditSpec) -> Iterator[range]:
    """The numbers of each target's rows that keep what is there; no rows if no room is looked for."""
    for free, target in zip(first_rows(spec), spec.targets, strict=True):
        yield range(free + 1, free + 1 + (0 if target.room is None else KEPT_ROWS))


def _best(shares: Mapping[int, float], job: Prepared, room: Room, free: int, kept: Sequence[int]) -> int | None:
    """The kept row that shows most of the new thing, if any shows it."""
    maps = _means(job)
    peaks = {row: float(_map(job, maps, row, room.words).max()) for row in (free, *kept)}
    shown = {row: shares[row] * (min(1.0, peaks[row] / peaks[free]) if peaks[free] else 1.0) for row in kept}
    return max((row for row in kept if shown[row] > _NEAR), key=lambda row: shown[row], default=None)


def _best_by_maps(job: Prepared, room: Room, free: int, kept: Sequence[int]) -> int | None:
    """The kept row that shows most of the new thing, if any shows it."""
    maps = _means(job)
    next_to, alone = _map(job, maps, 0, room.beside[-1:]).max(), _map(job, maps, free, room.words)
    found = {row: _map(job, maps, row, room.words) for row in kept}
    there = [row for row, of in found.items() if _is_there(of, alone, float(next_to))]
    return max(there, key=lambda row: float(found[row].sum()), default=None)


def _is_there(of: Tensor, alone: Tensor, next_to: float) -> bool:
    if of.max() >= _PEAK * next_to and _area(of) >= _area(alone):
        return True
    return bool(of.max() >= _AS_HIGH * alone.max()) and _area(of) >= _AS_WIDE * _area(alone)


def _means(job: Prepared) -> Tensor:
    """The maps of all rows, mean over the run."""
    assert job.maps is not None  # blends read them
    return job.maps.mean().float().cpu()


def _map(job: Prepared, maps: Tensor, row: int, names: Sequence) -> Tensor:
    assert job.maps is not None
    tokens = [token for name in names for token in job.prompts[row].named(name.word, name.occurrence)]
    return maps[row, job.maps.place(tokens)].sum(0)


def _area(of: Tensor) -> int:
    """Cells in which a map is above half of its maximum."""
    return int((of > of.max() / 2).sum())


def of_rows(job: Prepared, spec: EditSpec, rows: Sequence[int], anew: tuple[bool | None, ...]) -> Prepared:
    """A job's rows as a job of their own, to be finished."""
    targets: tuple[Target, ...] = tuple(job.spec.targets[row - 1] for row in rows[1:])
    texts, blend = job.text.rows(), job.plan.blend
    picked = torch.tensor([row - 1 for row in rows[1:]])
    return replace(
        job,
        spec=spec.model_copy(update={"targets": targets}),
        prompts=tuple(job.prompts[row] for row in rows),
        text=joined([texts[row] for row in rows]),
        plan=replace(job.plan, blend=None if blend is None else blend.of_targets(picked)),
        maps=None if job.maps is None else _maps_of(job.maps, rows),
        bounds=None if job.bounds is None else job.bounds[picked],
        streams=[job.streams[row] for row in rows],
        anew=anew,
    )


def _maps_of(maps: AttentionMaps, rows: Sequence[int]) -> AttentionMaps:
    made = AttentionMaps(maps.tokens)
    made.total, made.steps = None if maps.total is None else maps.total[list(rows)], maps.steps
    return made
