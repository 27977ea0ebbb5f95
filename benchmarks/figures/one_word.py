"""Figure 5 of Hertz et al. 2022: one word's maps carried over keep its thing, and nothing else, in other prompts."""

from PIL import Image

from benchmarks.figures.run import edited
from benchmarks.figures.sheet import Cell, sheet
from p2p.families.base import ModelFamily

PROMPT, WORD, SEED = "a cat on a beach", "cat", 4
OTHERS = (
    "a cat in the snow",
    "a cat on a table",
    "a cat on a road",
    "a cat on a red background",
    "a cat in the desert",
)
NEVER = {"stop": 0}


def one_word(family: ModelFamily) -> Image.Image:
    """Each prompt with the word's maps carried over, and below by itself, from the same noise."""
    shown = []
    for windows in ([{"word": WORD, "window": {"stop": 1}}], []):
        result = edited(
            family,
            PROMPT,
            [
                {
                    "prompt": prompt,
                    "edits": [{"kind": "refine"}],
                    "cross_window": NEVER,
                    "self_window": NEVER,
                    "word_windows": windows,
                }
                for prompt in OTHERS
            ],
            SEED,
        )
        words = f'only "{WORD}"' if windows else "nothing"
        places = [prompt.removeprefix("a cat ") for prompt in OTHERS]
        cells = [Cell(place, image) for place, image in zip(places, result.images[1:], strict=True)]
        shown.append([Cell(f"source; {words}", result.images[0]), *cells])
    return sheet(shown)
