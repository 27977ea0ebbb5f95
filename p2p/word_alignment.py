"""Which words of a source prompt the words of an edited one take their attention from, in words: what to show a person
before anything is run. No torch needed; `p2p.alignment` has the same as the matrices that the sampler applies.
"""

from dataclasses import dataclass
from typing import Literal

from p2p.correspondence import BY_ITSELF, CORRESPONDENCES
from p2p.pieces import folded
from p2p.spec import AligningKind
from p2p.subsequence import align
from p2p.tokens import TokenizedPrompt
from p2p.words import WrittenPrompt, same_words

WordState = Literal["kept", "changed", "added"]


@dataclass(frozen=True)
class AlignedWord:
    """Where a word of an edited prompt takes its attention from.

    Attributes:
        state: "kept" has the tokens of one word of the source, and takes the attention of each of them; "changed" takes
            the place of something that reads differently, or of a part of it; "added" has no counterpart, and keeps its
            own attention.
        sources: indices of words of the source prompt, ascending.
    """

    state: WordState
    sources: tuple[int, ...]


@dataclass(frozen=True)
class WordAlignment:
    """How an edited prompt corresponds to its source.

    Attributes:
        kind: the edit that aligns them; None if both say the same by the same tokens, and none is needed.
        words: one per word of the edited prompt.
        removed: indices of the source's words that no word of the edited prompt takes its map from.
    """

    kind: AligningKind | None
    words: tuple[AlignedWord, ...]
    removed: tuple[int, ...]


def fitting_kind(source: TokenizedPrompt, target: TokenizedPrompt) -> AligningKind | None:
    """The edit that two prompts ask for; None if they have the same words and the same tokens.

    The same words with other tokens, as with a comma more, ask for "refine": it is how "reweight" by itself aligns
    them. Otherwise "replace" fits where as many words stand on both sides and most of what they share stands at the
    same place: of "a big cat sits" and "a cat sits here" "refine" finds more.
    """
    if same_words(source.written, target.written):
        return None if source.ids == target.ids else "refine"
    return kind_by_words(source.written, target.written)


def kind_by_words(source: WrittenPrompt, target: WrittenPrompt) -> AligningKind:
    """The edit that fits prompts which do not say the same words."""
    before, after = ([folded(word.text) for word in prompt.words] for prompt in (source, target))
    if len(before) != len(after):
        return "refine"
    numbers = {text: number for number, text in enumerate({*before, *after})}
    shared = align(tuple(numbers[text] for text in before), tuple(numbers[text] for text in after))
    in_place = sum(one == other for one, other in zip(before, after, strict=True))
    return "replace" if in_place >= sum(index is not None for index in shared) else "refine"


def align_words(source: TokenizedPrompt, target: TokenizedPrompt, kind: AligningKind | None) -> WordAlignment:
    """The words of two prompts set against each other, as an edit of this kind does; as "reweight" does for None.

    Raises:
        ValueError: the kind needs other prompts: "replace" as many words on both sides.
    """
    shares = CORRESPONDENCES[kind or BY_ITSELF](source, target)
    word_of = {token: index for index, tokens in enumerate(source.owned()) for token in tokens}
    of_source = [word.tokens for word in source.words()]
    words = []
    for word in target.words():
        taken = [[position for position, _ in shares.get(token, ())] for token in word.tokens]
        sources = sorted({word_of[position] for positions in taken for position in positions if position in word_of})
        one_to_one = tuple(positions[0] for positions in taken if len(positions) == 1)
        kept = (
            len(sources) == 1
            and len(one_to_one) == len(word.tokens)
            and one_to_one == of_source[sources[0]]
            and all(source.ids[i] == target.ids[j] for i, j in zip(one_to_one, word.tokens, strict=True))
        )
        words.append(AlignedWord(("kept" if kept else "changed") if sources else "added", tuple(sources)))
    taken_up = {index for word in words for index in word.sources}
    removed = tuple(index for index in range(len(of_source)) if index not in taken_up)
    return WordAlignment(kind, tuple(words), removed)
