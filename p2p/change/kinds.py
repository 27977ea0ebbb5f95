"""Which kind a change is, from the words around it: rules in the order in which they are asked."""

from collections.abc import Iterator, Sequence
from typing import Literal

from p2p.change.lexicon import COLOURS, COPULAS, LINKS, PREPOSITIONS, SETTINGS, STYLES, SURROUNDING, WORN
from p2p.change.phrases import Gap, Said

_Kind = Literal["thing", "attribute", "place", "style", "add", "remove"]
#: A kind, and the words of the prompt that it is about.
_Found = tuple[_Kind, Sequence[int]]

#: How many nouns in a row an adjective may belong to: "sports car".
_NOUNS = 2


def swapped(before: Said, after: Said, gap: Gap, gone: Sequence[int], new: Sequence[int]) -> _Found:
    """The kind of words that stand in the place of others; what it is about is in the target."""
    old, young = {before.keys[i] for i in gone}, {after.keys[j] for j in new}
    words, leads = old | young, {*after.leads(new[0]), *before.leads(gone[0])}
    if _is_style(old) or _is_style(young) or _uncertain(before, gone) or _uncertain(after, new):
        return "style", ()
    if all(before.roles[i] == "verb" for i in gone) and all(after.roles[j] == "verb" for j in new):
        return _of_noun_before(after, new[0])
    if leads & COPULAS:
        return _of_noun_before(after, new[0])
    nouns = _nouns_behind(after, gap.next and gap.next[1], new[-1])
    if nouns and gone[-1] == gap.gone[-1]:
        return ("place", ()) if {after.keys[j] for j in nouns} & SETTINGS else ("attribute", nouns)
    return _governed(words, leads), ()


def one_sided(
    prompt: Said, words: range, following: int | None, kind: Literal["add", "remove"]
) -> Iterator[tuple[_Kind, Sequence[int], Sequence[int]]]:
    """Per phrase that only one prompt has: its kind, its words that say something, and the words that it is about.

    Args:
        following: the word behind it, which both prompts have; None at the end.
        kind: what it is if it is a thing.
    """
    for phrase in prompt.phrases(words):
        spoken = [index for index in phrase if prompt.is_spoken(index)]
        if not spoken:
            continue
        at_end = phrase[-1] == words[-1]
        found, about = _of_phrase(prompt, phrase, spoken, following if at_end else None, kind)
        nouns = [index for index in spoken if prompt.roles[index] != "verb"]
        yield found, nouns if found == kind and nouns else spoken, about


def _of_phrase(
    prompt: Said, phrase: Sequence[int], spoken: Sequence[int], following: int | None, kind: Literal["add", "remove"]
) -> _Found:
    keys = {prompt.keys[index] for index in spoken}
    leads = prompt.leads(spoken[0])
    if _is_style(keys) or _uncertain(prompt, spoken):
        return "style", ()
    if "made" in keys:  # "made of wood"
        return _of_noun_before(prompt, spoken[0])
    nouns = _nouns_behind(prompt, following, phrase[-1]) if len(spoken) == len(phrase) else ()
    if nouns:
        return ("place", ()) if {prompt.keys[j] for j in nouns} & SETTINGS else ("attribute", nouns)
    if all(prompt.roles[index] == "verb" for index in spoken):
        return _of_noun_before(prompt, spoken[0])
    apart = phrase[0] > 0 and prompt.ends[phrase[0] - 1]  # behind a comma it need not belong to what is before
    if (prompt.roles[spoken[0]] == "verb" and not apart) or {*leads} & (LINKS - {"and"}) or leads[:1] == ("of",):
        owner = prompt.noun_before(spoken[0])
        return kind, () if owner is None else (owner,)
    if {*leads} & PREPOSITIONS:
        return ("style" if "by" in leads and not keys & SETTINGS else "place"), ()
    if "and" in leads or following is not None:
        return kind, ()
    # At the end of a prompt, mostly behind a comma: "a cat, a dog" names a thing, "a cat, trending" may be anything.
    return (kind if leads and len(spoken) == 1 else "style"), ()


def _governed(words: set[str], leads: set[str]) -> _Kind:
    """The kind of a noun that another one stands for, by the preposition before it."""
    if words & SETTINGS and leads & PREPOSITIONS:
        return "place"
    if "by" in leads:
        return "style"  # an artist
    if leads & PREPOSITIONS and words <= COLOURS:
        return "place"
    if leads & SURROUNDING and not words & WORN:
        return "place"
    return "thing"


def _is_style(words: set[str]) -> bool:
    return bool(words & STYLES) or {"black", "white"} <= words


def _uncertain(prompt: Said, words: Sequence[int]) -> bool:
    """Whether there is a number or a negation: how many things there are, or what is not there, has no region."""
    return any(prompt.roles[index] in ("number", "negation") for index in words)


def _of_noun_before(prompt: Said, index: int) -> _Found:
    noun = prompt.noun_before(index)
    return ("style", ()) if noun is None else ("attribute", (noun,))


def _nouns_behind(prompt: Said, following: int | None, last: int) -> Sequence[int]:
    """The nouns right behind a word, of the same phrase."""
    nouns: list[int] = []
    while following is not None and following == last + 1 and not prompt.ends[last] and len(nouns) < _NOUNS:
        if following >= len(prompt.keys) or not prompt.is_noun_like(following):
            break
        nouns.append(following)
        last, following = following, following + 1
    return nouns
