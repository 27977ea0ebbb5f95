"""Figure 6 of Hertz et al. 2022: the source's cross-attention carried over for no step up to all of them."""

from PIL import Image

from benchmarks.figures.run import edited
from benchmarks.figures.sheet import Cell, sheet
from p2p.families.base import ModelFamily

#: Source, edited prompt, seed.
EDITS = (
    ("a cat on a beach", "a dog on a beach", 4),
    ("a pizza on a table", "a car on a table", 1),
    ("a tree on the grass", "a tree in the desert", 2),
)
SHARES = (0, 0.2, 0.4, 0.6, 0.8, 1)


def injection(family: ModelFamily) -> Image.Image:
    """A row for each edit; self-attention is left alone, so that what is seen is the cross-attention's doing."""
    rows = []
    for source, prompt, seed in EDITS:
        targets = [
            {"prompt": prompt, "edits": [{"kind": "replace"}], "cross_window": {"stop": s}, "self_window": {"stop": 0}}
            for s in SHARES
        ]
        result = edited(family, source, targets, seed)
        cells = [Cell(f"{share:.0%}", image) for share, image in zip(SHARES, result.images[1:], strict=True)]
        rows.append([Cell(source, result.images[0]), *cells])
    return sheet(rows)
