"""What each inversion makes of one picture: a row a method; the input, its reconstruction, an edit, and the truth."""

from dataclasses import replace

from PIL import Image

from benchmarks.figures.sheet import Cell, sheet
from benchmarks.inversion import FAMILY, STRONG, edited, inverted
from benchmarks.quality import sources as asked
from benchmarks.quality.changes import drawn_pair
from benchmarks.quality.painting import STEPS
from p2p.families.base import ModelFamily
from p2p.inversion import INVERSIONS
from p2p.inversion.fidelity import fidelity
from scenes.judge.verdict import load as load_judge


def inversions(family: ModelFamily) -> Image.Image:
    """The benchmark's first scene and its swap, at the papers' guidance, where methods differ most."""
    (source,) = asked.drawn([(1, FAMILY)], family, load_judge(), steps=STEPS)
    assert source.layout  # it is drawn
    picture, (_, truth) = Image.fromarray(source.image), drawn_pair(source.changes[0], source.layout)
    rows = []
    for method in INVERSIONS:
        found = inverted(source, method, family, STRONG)
        swap = edited(replace(source, trajectory=found.trajectory, changes=source.changes[:1]), family, STRONG)
        rows.append(
            [
                Cell(method, picture),
                Cell("reconstruction", fidelity(picture, found, family).reconstruction),
                Cell(f"{source.changes[0].things[1]} at {STRONG:g}", Image.fromarray(swap[0])),
                Cell("truth", Image.fromarray(truth.image)),
            ]
        )
    return sheet(rows)
