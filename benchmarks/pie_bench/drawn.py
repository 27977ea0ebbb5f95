"""`python -m benchmarks.pie_bench.drawn DIR`: a small set in PIE-Bench's format, drawn by `scenes`.

It says nothing about quality that `python -m benchmarks.quality` does not say better, with true edited pictures; it is
there to run the benchmark without the data set. Six of the ten types are drawn: of content, pose and material the world
knows nothing, and "random" is a mixture.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.pie_bench.mapping import as_runs
from benchmarks.quality.changes import KINDS, Change, drawn_pair
from benchmarks.quality.metrics import may_change
from scenes.render import Layout
from scenes.world import Scene, Thing

#: PIE-Bench's types and the kinds of changes that are such.
DRAWN: Mapping[str, str] = {"1": "thing", "2": "add", "3": "remove", "6": "tint", "8": "place", "9": "style"}
#: What the sources show; the second thing is there to be removed.
ONE = Scene((Thing("cat"),), "beach")
TWO = Scene((Thing("cat"), Thing("apple")), "grass")


def draw_set(folder: Path, each: int = 1) -> None:
    """Draws `each` items of every type of `DRAWN` into a directory."""
    mapping = {}
    for type_id, kind in DRAWN.items():
        for number in range(each):
            rng = np.random.default_rng([int(type_id), number])
            change = KINDS[kind][0](TWO if kind == "remove" else ONE, rng)
            item_id = f"{type_id}{number:011}"
            path = f"{type_id}_{kind}/{item_id}.jpg"
            mapping[item_id] = _drawn(change, Layout.drawn(number, room=2), folder, path) | {"editing_type_id": type_id}
    (folder / "mapping_file.json").write_text(json.dumps(mapping, indent=1))


def _drawn(change: Change, layout: Layout, folder: Path, path: str) -> dict:
    """An item's entry; its picture is written."""
    before, after = drawn_pair(change, layout)
    file = folder / "annotation_images" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(before.image).save(file, quality=95)
    masks = [
        {thing.name: mask for thing, mask in zip(scene.things, picture.masks, strict=True)}
        for scene, picture in ((change.before, before), (change.after, after))
    ]
    old, new = change.before.caption(), change.after.caption()
    return {
        "image_path": path,
        "original_prompt": old,
        "editing_prompt": _bracketed(new, old),
        "editing_instruction": f"change it to {new}",
        "blended_word": _blended(change),
        "mask": as_runs(may_change(change, *masks)),
    }


def _bracketed(prompt: str, other: str) -> str:
    """Words that the other prompt does not hold in brackets, as the data set marks them."""
    return " ".join(word if word in other.split() else f"[{word}]" for word in prompt.split())


def _blended(change: Change) -> str:
    """The thing before and after, where one stands for the other."""
    if not change.local:
        return ""
    names = [[thing.name for thing in scene.things if thing.name in change.things] for scene in
             (change.before, change.after)]  # fmt: skip
    return f"{names[0][0]} {names[1][0]}" if all(names) else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=1, help="items of each type")
    arguments = parser.parse_args()
    draw_set(arguments.folder, arguments.each)


if __name__ == "__main__":
    main()
