"""An edit of every kind by the methods that matter, beside the truth where there is one; the first, unchosen."""

from collections.abc import Sequence

from PIL import Image

from benchmarks.figures.sheet import Cell, sheet
from benchmarks.quality import sources as asked
from benchmarks.quality.changes import KINDS, drawn_pair
from benchmarks.quality.methods import METHODS, pairs
from benchmarks.quality.painting import STEPS
from benchmarks.quality.sources import Source
from p2p.families.base import ModelFamily
from scenes.judge.verdict import load as load_judge

SHOWN = {
    "prompt_same_seed": "prompt only",
    "sdedit_0.6": "SDEdit 0.6",
    "ours": "ours",
    "ours_local_blend": "ours, blend",
}
#: Sources of each family: the first of each kind's edits is shown.
EACH = 2


def kinds(family: ModelFamily) -> Image.Image:
    """Two rows a kind: of drawn pictures where their truth is known, of generated ones else."""
    judge = load_judge()
    drawn = asked.drawn([(EACH, of) for _, of in asked.DRAWN], family, judge, steps=STEPS)
    sources = [*drawn, *asked.generated([(EACH, of) for _, of in asked.GENERATED], family, judge, steps=STEPS)]
    return sheet(rows_of(sources, family))


def rows_of(sources: Sequence[Source], family: ModelFamily) -> list[list[Cell]]:
    """A row for each of the first changes of each kind: the source, every shown method, the truth."""
    images = {name: METHODS[name](sources, family, STEPS) for name in SHOWN}
    by_kind: dict[str, list[list[Cell]]] = {kind: [] for kind in KINDS}
    for place, (source, change, _) in enumerate(pairs(sources)):
        if len(by_kind[change.kind]) == EACH:
            continue
        asked_for = change.word and f"{change.word} x {change.weight:g}"
        row = [Cell(asked_for or change.kind, Image.fromarray(source.image))]
        row += [Cell(words, Image.fromarray(images[name][place])) for name, words in SHOWN.items()]
        if source.layout is not None:
            row.append(Cell("truth", Image.fromarray(drawn_pair(change, source.layout)[1].image)))
        by_kind[change.kind].append(row)
    return [row for rows in by_kind.values() for row in rows]
