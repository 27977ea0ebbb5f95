"""What two prompts ask for: which words change, and what kind each change is. What is in doubt is a style."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from p2p.change.kinds import one_sided, swapped
from p2p.change.lexicon import role_of
from p2p.change.phrases import Gap, Said, gaps, shared
from p2p.pieces import pieces_by_word
from p2p.words import WrittenPrompt, written

ChangeKind = Literal["thing", "attribute", "place", "style", "add", "remove", "weights"]

#: Words of one change: a phrase has fewer. A longer one is a new prompt, and in doubt.
_MOST = 8
#: Words on each side of a change by which alone prompts may differ: "a cat" and "a small dog" share no word.
_ALONE = 3


#: A word that both prompts have, as its indices in the source and in the target.
_Pair = tuple[int, int]
#: All of them, by their index in the source, and by that in the target.
_Both = tuple[Mapping[int, _Pair], Mapping[int, _Pair]]


@dataclass(frozen=True)
class Change:
    """One thing that an edited prompt changes.

    Attributes:
        gone: indices of words of the source that it takes away; only those that say something.
        new: indices of words of the target that it brings.
        about: what both prompts share that it concerns, as indices in the source and in the target: the noun of an
            attribute, or what an added thing belongs to.
        setting: indices of words of the target that both prompts have, and that say where a removed thing was.
        things: indices of words of the source that both prompts have, and that name what stands in a changed place, or
            before what is added.
        weight: of words that are turned up or down.
        in_place: whether these act in one place of the picture.
    """

    kind: ChangeKind
    gone: tuple[int, ...] = ()
    new: tuple[int, ...] = ()
    about: tuple[tuple[int, int], ...] = ()
    setting: tuple[int, ...] = ()
    things: tuple[int, ...] = ()
    weight: float = 1.0
    in_place: bool = False


@dataclass(frozen=True)
class Reading:
    """What two prompts ask for.

    Attributes:
        changes: in the order of their words; none if no word that says something differs.
        kept: words that say something and that both prompts have, as indices in the source and in the target.
        related: whether the prompts have anything in common. Where they have not, all is one style.
    """

    changes: tuple[Change, ...]
    kept: tuple[tuple[int, int], ...]
    related: bool


def read(source: WrittenPrompt, target: WrittenPrompt) -> Reading:
    """The changes that two prompts ask for, by their words alone."""
    return _read_lately(source.prompt, target.prompt)


# One request asks several times: its check, its notices, its settings, its answer.
@lru_cache(maxsize=128)
def _read_lately(source: str, target: str) -> Reading:
    return _read(written(source), written(target))


def _read(source: WrittenPrompt, target: WrittenPrompt) -> Reading:
    before, after = Said.of(source), Said.of(target)
    pairs = shared(before, after)
    by_word: _Both = ({pair[0]: pair for pair in pairs}, {pair[1]: pair for pair in pairs})
    found = [change for gap in gaps(before, after, pairs) for change in _of_gap(before, after, gap, by_word)]
    kept = tuple((i, j) for i, j in pairs if before.is_spoken(i))
    if found and not kept and not _alone(before, after, found):
        gone, new = (tuple(filter(said.is_spoken, range(len(said.keys)))) for said in (before, after))
        related = bool({before.keys[i] for i in gone} & {after.keys[j] for j in new})
        return Reading((Change("style", gone, new),), kept, related)
    return Reading(tuple(_doubted(before, after, found)), kept, related=True)


def _of_gap(before: Said, after: Said, gap: Gap, pairs: _Both) -> Iterator[Change]:
    gone, new = tuple(filter(before.is_spoken, gap.gone)), tuple(filter(after.is_spoken, gap.new))
    if gone and new:
        kind, about = swapped(before, after, gap, gone, new)
        things = _things(before, gone[0], pairs[0]) if kind == "place" else ()
        yield Change(kind, gone, new, _pairs_of(about, pairs[1]), things=things)
    elif new:
        for kind, words, about in one_sided(after, gap.new, gap.next and gap.next[1], "add"):
            things = _things(before, gap.gone.start, pairs[0]) if kind == "add" else ()
            yield Change(kind, (), tuple(words), _pairs_of(about, pairs[1]), things=things)
    elif gone:
        for kind, words, about in one_sided(before, gap.gone, gap.next and gap.next[0], "remove"):
            setting = _setting(after, pairs[1]) if kind == "remove" else ()
            yield Change(kind, tuple(words), (), _pairs_of(about, pairs[0]), setting)
    elif _turns(before, gap.gone) != _turns(after, gap.new) and _goes_on(after, gap, pairs[1]):
        # "on a table" and "under a table": things are arranged anew, and nothing says where.
        yield Change("style", tuple(gap.gone), tuple(gap.new))


def _pairs_of(words: Sequence[int], pairs: Mapping[int, _Pair]) -> tuple[_Pair, ...]:
    """Words of one prompt as words of both; those that only one has are left out."""
    return tuple(pairs[word] for word in words if word in pairs)


def _setting(after: Said, kept: Mapping[int, _Pair]) -> tuple[int, ...]:
    """Words of phrases that begin with a preposition: "on a lawn"."""
    phrases = (phrase for phrase in after.phrases(range(len(after.keys))) if after.roles[phrase[0]] == "preposition")
    return tuple(index for phrase in phrases for index in phrase if index in kept and after.is_spoken(index))


def _things(before: Said, first: int, kept: Mapping[int, _Pair]) -> tuple[int, ...]:
    """What both prompts name in front of a word."""
    return tuple(index for index in range(first) if index in kept and before.is_noun_like(index))


def _turns(prompt: Said, words: range) -> tuple[str, ...]:
    return tuple(prompt.keys[index] for index in words if prompt.roles[index] in ("preposition", "link"))


def _goes_on(after: Said, gap: Gap, pairs: Mapping[int, _Pair]) -> bool:
    """Whether the next word that says something is one that both prompts have; of another the next gap tells."""
    behind = range(gap.new.stop, len(after.keys))
    return next(filter(after.is_spoken, behind), None) in pairs


def _alone(before: Said, after: Said, changes: Sequence[Change]) -> bool:
    """Whether prompts that share no word with a meaning differ by one phrase: "a cat" and "a dog"."""
    only = changes[0]
    if len(changes) > 1 or only.kind != "thing" or max(len(only.gone), len(only.new)) > _ALONE:
        return False
    # In a script without spaces a whole sentence is one word here.
    words = (*(before.keys[i] for i in only.gone), *(after.keys[j] for j in only.new))
    pieces = (piece for word in words for piece in next(iter(pieces_by_word(word)), ()))
    return all(piece.kind != "alone" for piece in pieces)


def _doubted(before: Said, after: Said, changes: Sequence[Change]) -> Iterator[Change]:
    """Changes with those of which the words do not say enough made a style."""
    gone = {before.keys[index] for change in changes for index in change.gone}
    moved = gone & {after.keys[index] for change in changes for index in change.new}
    english = any(role_of(key) in ("determiner", "preposition") for key in (*before.keys, *after.keys))
    # Without an English word nobody can tell a noun from an adjective; a swap of one word for one is still a swap.
    unread = not english and len(after.keys) > _ALONE
    for change in changes:
        words = {*(before.keys[i] for i in change.gone), *(after.keys[j] for j in change.new)}
        is_swap = change.kind == "thing" and len(change.gone) == len(change.new) == 1
        if words & moved or max(len(change.gone), len(change.new)) > _MOST or (unread and not is_swap):
            yield replace(change, kind="style", about=())
        else:
            yield change
