"""Figure 9 of Hertz et al. 2022: a word turned from pushed away to strong, in pictures and measured.

Two quantities that a picture has, whatever any network thinks of it: how much of a picture is rain drops, and how far
a thing's colour lies in the direction of a tint.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.figures.run import edited
from benchmarks.figures.sheet import Cell, beside, curves, sheet, stacked
from benchmarks.quality.metrics import widened
from p2p.families.base import ModelFamily
from scenes.judge.network import Judge
from scenes.judge.verdict import verdicts
from scenes.world import COLOURS

WEIGHTS = (-10, -5, -2, 0, 1, 2, 5, 10)
#: A drop is brighter than its neighbourhood by at least this much, of 255.
DROP = 12
#: Pictures of the curve; the first one is shown.
SEEDS = range(8)

Measure = Callable[[np.ndarray, np.ndarray], float]


def rain(image: np.ndarray, thing: np.ndarray) -> float:
    """The share of the pixels away from the thing that are brighter than the median of their 7x7 by `DROP`."""
    grey = Image.fromarray(image).convert("L")
    above = np.asarray(grey).astype(int) - np.asarray(grey.filter(ImageFilter.MedianFilter(7)))
    return float((above[~widened(thing)] > DROP).mean())


def purple(image: np.ndarray, thing: np.ndarray) -> float:
    """How far the thing's colour lies towards purple: 0 is grey, 1 as far from grey as the tint itself."""
    pixels, tint = image[thing].astype(float).mean(0), np.array(COLOURS["purple"], float)
    chroma, towards = pixels - pixels.mean(), tint - tint.mean()
    return float(chroma @ towards / (towards @ towards))


#: Prompt, its word that is turned, what is measured of it.
FADERS: tuple[tuple[str, str, str, Measure], ...] = (
    ("a house on the grass in the rain", "rain", "share of drop pixels", rain),
    ("a purple cat on a beach", "purple", "tint strength", purple),
)


def measured(family: ModelFamily, prompt: str, word: str, measure: Measure, judge: Judge) -> tuple[list, np.ndarray]:
    """The first seed's pictures, and (seeds, weights) of what was measured.

    The thing is where the judge sees it in the source; a source without it is not counted.
    """
    targets = [
        {"prompt": prompt, "edits": [{"kind": "reweight", "weights": [{"word": word, "weight": weight}]}]}
        for weight in WEIGHTS
    ]
    thing = next(name for name in ("house", "cat") if name in prompt.split())
    shown: list[np.ndarray] = []
    values = []
    for seed in SEEDS:
        images = [np.asarray(image) for image in edited(family, prompt, targets, seed).images]
        shown = shown or images[1:]
        (seen,) = verdicts(judge, images[:1])
        if thing in seen.things:
            values.append([measure(image, seen.mask(thing)) for image in images[1:]])
    return shown, np.array(values)


def fader(family: ModelFamily, judge: Judge) -> Image.Image:
    """A row of pictures and a curve for each fader: the mean and the quartiles over the seeds."""
    parts, graphs = [], []
    for prompt, word, quantity, measure in FADERS:
        shown, values = measured(family, prompt, word, measure, judge)
        cells = [Cell(f"{word} x {w:g}", Image.fromarray(i)) for w, i in zip(WEIGHTS, shown, strict=True)]
        parts.append(sheet([cells]))
        low, mean, high = np.quantile(values, 0.25, 0), values.mean(0), np.quantile(values, 0.75, 0)
        lines = {f"mean of {len(values)}": mean, "lower quartile": low, "upper quartile": high}
        graphs.append(curves(f"{quantity} against the weight of {word!r}", WEIGHTS, lines, size=(530, 260)))
    return stacked([*parts, beside(graphs)])
