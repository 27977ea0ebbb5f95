"""Figure 4 of Hertz et al. 2022: where each word acts, and how much, on the average of the run and at its steps."""

import numpy as np
from PIL import Image

from benchmarks.figures.run import edited
from benchmarks.figures.sheet import Cell, heat, sheet
from p2p.families.base import ModelFamily
from p2p.tokens import tokenize

PROMPT, SEED = "a cat and a house in the snow", 3
WORDS = ("cat", "house", "in", "snow")
#: Steps that are shown, of 20.
STEPS = (0, 3, 6, 10, 14, 19)


def maps(family: ModelFamily) -> Image.Image:
    """A row of words, and a row for each of two nouns over the steps."""
    result = edited(family, PROMPT, [{"prompt": PROMPT, "edits": [{"kind": "refine"}]}], SEED, keep=True)
    assert result.trajectory  # `keep` asks for it
    by_step = result.trajectory.maps.numpy()  # (steps, tokens, height, width)
    tokens = tokenize(PROMPT, family.tokenizer)

    def of(word: str) -> np.ndarray:
        return by_step[:, list(tokens.named(word))].sum(1)

    shares = by_step.mean((0, 2, 3))  # of all attention, per token
    words = [Cell(f"{w}: {shares[list(tokens.named(w))].sum():.1%}", heat(of(w).mean(0))) for w in WORDS]
    behind = slice(len(tokens.ids), None)
    padding = Cell(f"padding: {shares[behind].sum():.1%}", heat(by_step[:, behind].sum(1).mean(0)))
    rows = [[Cell("the picture", result.images[0]), *words, padding]]
    rows += [[Cell(f"{word}, step {step + 1}", heat(of(word)[step])) for step in STEPS] for word in ("cat", "house")]
    return sheet(rows)
