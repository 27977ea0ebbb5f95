"""What a family's built-in model does: a picture with its edits, and a drawn photo with the same kinds of edits."""

from typing import Any

from PIL import Image

from benchmarks.figures.run import edited
from benchmarks.figures.sheet import Cell, heat, sheet
from benchmarks.quality import sources as asked
from benchmarks.quality.changes import drawn_pair
from benchmarks.quality.methods import ours, unchanged
from benchmarks.quality.opened import Opened
from scenes.judge.verdict import load as load_judge

PROMPT, NOUN, SEED = "a cat on a beach", "cat", 2
SWAP = "a dog on a beach"
#: What is asked of the picture, by the words above it.
EDITS = {
    "dog": {"prompt": SWAP, "edits": [{"kind": "replace"}]},
    "snow": {"prompt": "a cat in the snow", "edits": [{"kind": "refine"}]},
    "purple": {"prompt": "a purple cat on a beach", "edits": [{"kind": "refine"}]},
    "at night": {"prompt": f"{PROMPT} at night", "edits": [{"kind": "refine"}]},
}
BLENDED = {**EDITS["dog"], "local_blend": {"words": [{"word": "dog"}]}}
KINDS = ("thing", "place", "tint", "style")


def of_family(model: Opened) -> Image.Image:
    """Three rows: a picture, the noun's map and edits; a photo, as it comes back, and edits; a blend, and the truth."""
    family, defaults = model.family, model.defaults
    how: dict[str, Any] = {"steps": defaults.steps, "guidance_scale": defaults.guidance_scale}
    result = edited(family, PROMPT, [*EDITS.values(), BLENDED], SEED, maps=True, defaults=defaults, **how)
    (noun,) = (word for word in result.maps[0] if word.word == NOUN)
    *images, blended = result.images[1:]
    first = [Cell(PROMPT, result.images[0]), Cell(f"where {NOUN} acts", heat(noun.map))]
    first += [Cell(words, image) for words, image in zip(EDITS, images, strict=True)]

    kinds = asked.Family(asked.one_thing, KINDS)
    (photo,) = asked.drawn([(1, kinds)], family, load_judge(), **how)
    assert photo.layout  # it is drawn
    changed = ours([photo], family, defaults.steps, blended=False, defaults=defaults)
    second = [Cell("a photo", Image.fromarray(photo.image))]
    second.append(Cell("as it comes back", Image.fromarray(unchanged([photo], family, defaults.steps)[0])))
    second += [Cell(kind, Image.fromarray(image)) for kind, image in zip(KINDS, changed, strict=True)]
    truths = [drawn_pair(change, photo.layout)[1].image for change in photo.changes]
    third = [Cell(PROMPT, result.images[0]), Cell("dog, blended", blended)]
    third += [Cell(f"{kind}: the truth", Image.fromarray(image)) for kind, image in zip(KINDS, truths, strict=True)]
    return sheet([first, second, third])
