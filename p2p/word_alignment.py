"""Which words of a source prompt the words of an edited one take their attention from, in words: what to show a person
before anything is run. No torch needed; `p2p.alignment` has the same as the matrices that the sampler applies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from p2p.subsequence import align
from p2p.tokens import TokenizedPrompt
from p2p.words import words_of

#: The edits that say how two prompts correspond.
AligningKind = Literal["replace", "refine"]
WordState = Literal["kept", "changed", "added"]


@dataclass(frozen=True)
class AlignedWord:
    """Where a word of an edited prompt takes its attention from.

    Attributes:
        state: "kept" reads as its source does; "changed" takes the place of something that reads differently, or of a
            part of it; "added" has no counterpart, and keeps its own attention.
        sources: indices of words of the source prompt, ascending.
    """

    state: WordState
    sources: tuple[int, ...]


@dataclass(frozen=True)
class WordAlignment:
    """How an edited prompt corresponds to its source.

    Attributes:
        kind: the edit that aligns them; None where both have the same words, and none is needed.
        words: one per word of the edited prompt.
        removed: indices of the source's words that no word of the edited prompt takes up.
    """

    kind: AligningKind | None
    words: tuple[AlignedWord, ...]
    removed: tuple[int, ...]


def fitting_kind(source: str, target: str) -> AligningKind | None:
    """The edit that two prompts ask for, by their words alone; None where they are the same.

    "replace" where as many words stand on both sides and most of what they share stands at the same place: of
    "a big cat sits" and "a cat sits here" "refine" finds more.
    """
    before, after = _texts(source), _texts(target)
    if before == after:
        return None
    if len(before) != len(after):
        return "refine"
    numbers = {text: number for number, text in enumerate({*before, *after})}
    shared = align(tuple(numbers[text] for text in before), tuple(numbers[text] for text in after))
    in_place = sum(one == other for one, other in zip(before, after, strict=True))
    return "replace" if in_place >= sum(index is not None for index in shared) else "refine"


def align_words(source: TokenizedPrompt, target: TokenizedPrompt, kind: AligningKind | None) -> WordAlignment:
    """The words of two prompts set against each other, as an edit of this kind does.

    Raises:
        ValueError: there are not as many words on both sides, and `kind` is not "refine".
    """
    words = _by_tokens(source, target) if kind == "refine" else _by_place(source, target)
    taken_up = {index for word in words for index in word.sources}
    removed = tuple(index for index in range(len(source.owned())) if index not in taken_up)
    return WordAlignment(kind, words, removed)


def _by_place(source: TokenizedPrompt, target: TokenizedPrompt) -> tuple[AlignedWord, ...]:
    words = []
    pairs = zip(source.owned(), target.owned(), source.words(), target.words(), strict=True)
    for index, (before, after, old, new) in enumerate(pairs):
        if not before or not after:
            # Characters that the tokenizer drops: no token has anything to take up.
            words.append(AlignedWord("added", ()))
            continue
        same = [source.ids[i] for i in old.tokens] == [target.ids[j] for j in new.tokens]
        words.append(AlignedWord("kept" if same else "changed", (index,)))
    return tuple(words)


def _by_tokens(source: TokenizedPrompt, target: TokenizedPrompt) -> tuple[AlignedWord, ...]:
    word_of = {token: index for index, tokens in enumerate(source.owned()) for token in tokens}
    aligned = align(source.ids, target.ids)
    words = []
    for word in target.words():
        counterparts = [aligned[token] for token in word.tokens]
        sources = sorted({word_of[token] for token in counterparts if token is not None and token in word_of})
        if not sources:
            words.append(AlignedWord("added", ()))
            continue
        whole = None not in counterparts and len(sources) == 1
        same = whole and tuple(counterparts) == source.words()[sources[0]].tokens
        words.append(AlignedWord("kept" if same else "changed", tuple(sources)))
    return tuple(words)


def _texts(prompt: str) -> Sequence[str]:
    return [word.text for word in words_of(prompt)]
