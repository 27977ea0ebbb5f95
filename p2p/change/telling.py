"""A change in plain words, for a person who has not chosen anything."""

from collections.abc import Callable, Iterable, Mapping

from p2p.change.reading import Change, ChangeKind, Reading
from p2p.spec import Target
from p2p.words import WrittenPrompt


def _attribute(change: Change, old: str, new: str, about: str) -> str:
    return f"{new} {about}".strip() if new else f"{about} not {old}"


def _added(change: Change, old: str, new: str, about: str) -> str:
    return f"{new} added to {about}" if about else f"{new} added"


#: Per kind, its line of the change, the words that go, those that come, and those that it is about.
_LINES: Mapping[ChangeKind, Callable[[Change, str, str, str], str]] = {
    "thing": lambda change, old, new, about: f"{new} for {old}",
    "attribute": _attribute,
    "place": lambda change, old, new, about: f"place: {new or f'not {old}'}",
    "style": lambda change, old, new, about: f"style: {new or f'not {old}'}",
    "add": _added,
    "remove": lambda change, old, new, about: f"{old} removed",
    "weights": lambda change, old, new, about: f"{new} turned {_way(change.weight)}",
}


def words_at(prompt: WrittenPrompt, indices: Iterable[int]) -> tuple[str, ...]:
    """Words of a prompt as they are written."""
    return tuple(prompt.words[index].text for index in indices)


def told(source: WrittenPrompt, target: WrittenPrompt, reading: Reading, complete: Target) -> str:
    """What is done, in a line.

    Args:
        complete: the target with everything chosen.
    """
    if not reading.related:
        return "the prompts have nothing in common; a new picture from the source's noise"
    changes = ", ".join(_line(source, target, change) for change in reading.changes) or "nothing that words say"
    return f"{changes}; {_kept(complete)}"


def _kept(target: Target) -> str:
    blend = target.local_blend
    if target.room is not None:
        return "the rest is kept if there is room"
    if blend is None:
        return "the whole picture may change"
    if blend.source_subtract_words and not blend.words and not blend.source_words:
        return f"{' '.join(name.word for name in blend.source_subtract_words)} stays as it is"
    return "the rest is kept"


def _line(source: WrittenPrompt, target: WrittenPrompt, change: Change) -> str:
    of_target = words_at(target, (j for _, j in change.about)) or words_at(source, (i for i, _ in change.about))
    old, new = " ".join(words_at(source, change.gone)), " ".join(words_at(target, change.new))
    return _LINES[change.kind](change, old, new, " ".join(of_target))


def _way(weight: float) -> str:
    return "up" if weight > 1 else "down" if weight else "down to nothing"
