"""Words that are turned up or down: what a prompt is without them, and which part of the picture they concern."""

from collections.abc import Iterator, Sequence, Set

from p2p.change.lexicon import STYLES
from p2p.change.phrases import Said, shared
from p2p.change.reading import Change, ChangeKind, read
from p2p.spec import WordName, WordWeight
from p2p.words import WrittenPrompt, written

_GREY = frozenset({"black", "white"})
#: Words that lead on from what is gone: "and a dog".
_NO_BEGINNING = frozenset({"and", "of", "with"})
#: What may not be left at the end of a prompt or at its beginning.
_JOINTS = " ,;:|"


def without(prompt: WrittenPrompt, name: WordName) -> str:
    """A prompt that does not say a word: an adjective goes alone, a noun with what leads to it ("and a red car")."""
    said, gone = Said.of(prompt), set[int]()
    for index in indices_of(prompt, name):
        gone.update(_with_what_leads(said, index))
    if 0 in gone:
        first = next((index for index in range(len(said.keys)) if index not in gone), 0)
        gone.update([first] if first and said.keys[first] in _NO_BEGINNING else [])
    kept = (word for index, word in enumerate(prompt.words) if index not in gone)
    return " ".join(prompt.prompt[slice(*word.whole)] for word in kept).strip(_JOINTS)


def indices_of(prompt: WrittenPrompt, name: WordName) -> tuple[int, ...]:
    """The words that hold what a name means."""
    spans = [span for spans in prompt.find(name.word, name.occurrence) for span in spans]
    return tuple(
        index
        for index, word in enumerate(prompt.words)
        if any(start < word.stop and word.start < stop for start, stop in spans)
    )


def weighed(source: WrittenPrompt, target: WrittenPrompt, weights: Sequence[WordWeight]) -> tuple[Change, ...]:
    """A change for each word that is turned up or down."""
    return tuple(_weighed(source, target, weights))


def _weighed(source: WrittenPrompt, target: WrittenPrompt, weights: Sequence[WordWeight]) -> Iterator[Change]:
    if not weights:
        return
    before = {j: i for i, j in shared(Said.of(source), Said.of(target))}
    for weight in weights:
        if weight.weight == 1:
            continue
        changes = read(target, written(without(target, weight))).changes
        about = tuple((before[i], i) for change in changes for i, _ in change.about if i in before)
        new = indices_of(target, weight)
        yield Change(
            "weights",
            gone=tuple(before[index] for index in new if index in before),
            new=new,
            about=about,
            weight=weight.weight,
            in_place=bool(changes) and {change.kind for change in changes} <= _local(weight.weight),
        )


def _local(weight: float) -> Set[ChangeKind]:
    """Kinds of words that act in one place: a thing that is more itself may need more room than it had."""
    return {"attribute", "remove"} if weight < 1 else {"attribute"}


def _with_what_leads(said: Said, index: int) -> Iterator[int]:
    """A word, and those before it that say nothing without it."""
    phrase = next(phrase for phrase in said.phrases(range(len(said.keys))) if index in phrase)
    spoken = {said.keys[each] for each in phrase if said.is_spoken(each)}
    if said.keys[index] in spoken and (spoken <= STYLES or spoken == _GREY):
        yield from phrase
        return
    yield index
    behind = index + 1
    if behind in phrase and said.is_noun_like(behind):
        return
    while index - 1 in phrase and said.roles[index - 1] == "content":
        index -= 1
        yield index
    yield from range(index - len(said.leads(index)), index)
