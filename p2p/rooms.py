"""A spec whose additions are tried in several rows, a target for each. Needs no torch: costs are read off it."""

from collections.abc import Iterator

from p2p.spec import EditSpec, LocalBlend, Room, StepWindow, Target, WordWindow
from p2p.words import written

#: From the source's noise, and twice from noise of its own where nothing stands.
KEPT_ROWS = 3
#: How many prompts the model is asked about each kept row, once it is drawn: its own, and the source's.
ASKED_ABOUT = 2
#: How far into the run the noises lie under which kept rows are hidden for that, a pass of the model each: later ones
#: hide too little of a thing, earlier ones also what stands beside it. Several noises at the best depth part rows with
#: the thing from rows without it better than one noise at each of several depths (docs/automatic.md).
LOOKED_AT = (0.3,) * 4
#: The share of the run in which what stands there is kept, and its words take the source's maps.
_HALF = 0.5


def expanded(spec: EditSpec) -> EditSpec:
    """The spec with every row of its additions as a target: the free one first."""
    if all(target.room is None for target in spec.targets):
        return spec
    return spec.model_copy(update={"targets": tuple(row for target in spec.targets for row in _rows(target))})


def rows_tried(spec: EditSpec) -> int:
    """How many rows its additions take beyond one for each picture, with one seed."""
    return sum(KEPT_ROWS for target in spec.targets if target.room is not None)


def rows_asked_about(spec: EditSpec) -> int:
    """How many rows of forward passes it takes to say which of its additions came to be, with one seed."""
    return len(LOOKED_AT) * ASKED_ABOUT * rows_tried(spec)


def _rows(target: Target) -> Iterator[Target]:
    yield target.model_copy(update={"room": None})
    if target.room is not None:
        yield _kept(target, target.room, fresh=False)
        yield from (_kept(target, target.room, fresh=True) for _ in range(KEPT_ROWS - 1))


def _kept(target: Target, room: Room, *, fresh: bool) -> Target:
    prompt = written(target.prompt)
    held = (name for name in room.beside if prompt.holds(name.word, name.occurrence))
    windows = tuple(
        WordWindow(word=name.word, occurrence=name.occurrence, window=StepWindow(stop=_HALF)) for name in held
    )
    blend = LocalBlend(words=room.words, source_words=(), start=_HALF, fresh_noise=fresh)
    return target.model_copy(update={"local_blend": blend, "word_windows": (*windows, *target.word_windows)})
