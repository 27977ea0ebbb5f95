"""Seeds that nobody chose: drawn once, by whoever accepts an edit, and from then on a part of its spec."""

import secrets
from collections.abc import Callable

from p2p.spec import DRAW, EditSpec

#: What is drawn is below this: far more pictures than anybody looks at, in ten digits that can be read out, and an
#: integer to every JSON reader and every random generator.
DRAWN_BELOW = 2**32

#: Gives a whole number from 0 and below `DRAWN_BELOW`, another one each time.
DrawSeed = Callable[[], int]


def draw_seed() -> int:
    """A seed that nobody can foretell, from 0 and below `DRAWN_BELOW`."""
    return secrets.randbelow(DRAWN_BELOW)


def drawn(spec: EditSpec, draw: DrawSeed = draw_seed) -> EditSpec:
    """The spec with a seed in place of each that is absent or -1; of several, no two are the same."""
    asked = spec.sampling
    if asked.seeds is None:
        return spec.of_seeds(draw()) if asked.seed in (None, DRAW) else spec
    if DRAW not in asked.seeds:
        return spec
    taken = set(asked.seeds)
    seeds = tuple(_another(taken, draw) if seed == DRAW else seed for seed in asked.seeds)
    return spec.model_copy(update={"sampling": asked.model_copy(update={"seeds": seeds})})


def _another(taken: set[int], draw: DrawSeed) -> int:
    while (seed := draw()) in taken:
        pass
    taken.add(seed)
    return seed
