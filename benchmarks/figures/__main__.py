"""`python -m benchmarks.figures [NAME ...]`: writes docs/figures/NAME.png; all of them where none is named."""

import argparse
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from PIL import Image

from benchmarks.figures.fader import fader
from benchmarks.figures.family import of_family
from benchmarks.figures.injection import injection
from benchmarks.figures.inversions import inversions
from benchmarks.figures.kinds import kinds
from benchmarks.figures.maps import maps
from benchmarks.figures.one_word import one_word
from benchmarks.quality.opened import DEFAULT, Opened, opened
from p2p.families.base import ModelFamily
from scenes.judge.verdict import load as load_judge

FOLDER = Path("docs/figures")

FIGURES: Mapping[str, Callable[[ModelFamily], Image.Image]] = {
    "maps": maps,
    "one_word": one_word,
    "injection": injection,
    "fader": lambda family: fader(family, load_judge()),
    "inversions": inversions,
    "kinds": kinds,
}
#: Of the models of other families: the model's id, and what draws its picture.
OF_FAMILIES: Mapping[str, tuple[str, Callable[[Opened], Image.Image]]] = {
    "amused": ("scenes-tokens", of_family),
    "flow": ("scenes-flow", of_family),
}

NAMES = (*FIGURES, *OF_FAMILIES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--model", default=DEFAULT, help="of models.toml: its id or its folder")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name in arguments.names or NAMES:
        path = arguments.folder / f"{name}.png"
        # A palette: a quarter of the size, and no difference that is seen.
        _drawn(name, arguments.model).quantize(256).save(path, optimize=True)
        written[str(path)] = path.stat().st_size
    print(json.dumps(written))


def _drawn(name: str, model: str) -> Image.Image:
    if name in OF_FAMILIES:
        own, draw = OF_FAMILIES[name]
        return draw(_opened(own))
    return FIGURES[name](_opened(model).family)


_opened = cache(opened)


if __name__ == "__main__":
    main()
