"""`python -m benchmarks.figures [NAME ...]`: writes docs/figures/NAME.png; all of them where none is named."""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

from benchmarks.figures.fader import fader
from benchmarks.figures.injection import injection
from benchmarks.figures.inversions import inversions
from benchmarks.figures.kinds import kinds
from benchmarks.figures.maps import maps
from benchmarks.figures.one_word import one_word
from p2p.families import load
from p2p.families.base import ModelFamily
from scenes.judge.verdict import load as load_judge

MODEL, FOLDER = Path("scenes/model"), Path("docs/figures")

FIGURES: Mapping[str, Callable[[ModelFamily], Image.Image]] = {
    "maps": maps,
    "one_word": one_word,
    "injection": injection,
    "fader": lambda family: fader(family, load_judge()),
    "inversions": inversions,
    "kinds": kinds,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    family = load("stable_diffusion", str(arguments.model))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name in arguments.names or FIGURES:
        path = arguments.folder / f"{name}.png"
        # A palette: a quarter of the size, and no difference that is seen.
        FIGURES[name](family).quantize(256).save(path, optimize=True)
        written[str(path)] = path.stat().st_size
    print(json.dumps(written))


if __name__ == "__main__":
    main()
