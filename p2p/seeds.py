"""Seeds that nobody chose: drawn once, when an edit is accepted, and from then on a part of its spec."""

import secrets
from collections.abc import Callable, Mapping

from p2p.spec import DRAW, MAX_SEED, EditSpec, Sampling

#: Gives a whole number from 0 to `MAX_SEED`, another one each time.
DrawSeed = Callable[[], int]


def draw_seed() -> int:
    """A seed that nobody can foretell, from 0 to `MAX_SEED`."""
    return secrets.randbits(MAX_SEED.bit_length())


def drawn(spec: EditSpec, draw: DrawSeed = draw_seed) -> EditSpec:
    """The spec with a seed in place of each that is absent or -1; of several, no two are the same."""
    update = drawn_fields(spec.sampling, draw)
    return spec.model_copy(update={"sampling": spec.sampling.model_copy(update=update)}) if update else spec


def drawn_fields(sampling: Sampling, draw: DrawSeed) -> Mapping[str, object]:
    """The fields that `drawn` changes of a sampling, for a caller that changes more of them at once."""
    if sampling.seeds is None:
        return {"seed": draw()} if sampling.seed in (None, DRAW) else {}
    if DRAW not in sampling.seeds:
        return {}
    taken = set(sampling.seeds)
    return {"seeds": tuple(_another(taken, draw) if seed == DRAW else seed for seed in sampling.seeds)}


def _another(taken: set[int], draw: DrawSeed) -> int:
    while (seed := draw()) in taken:
        pass
    taken.add(seed)
    return seed
