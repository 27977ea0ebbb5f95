"""A spec whose additions are tried in several rows, a target for each. Needs no torch: costs are read off it."""

from collections.abc import Iterator

from p2p.spec import EditSpec, LocalBlend, Room, StepWindow, Target, WordWindow
from p2p.words import written

#: From the source's noise, and twice from noise of its own where nothing stands.
KEPT_ROWS = 3
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
