"""A prompt as a row of words with their roles, and what two of them share in the same order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from p2p.change.lexicon import STYLES, Role, role_of
from p2p.pieces import folded
from p2p.subsequence import align
from p2p.words import WrittenPrompt

#: Punctuation behind a word that ends a phrase.
_ENDS = frozenset(",;.:|")

#: Words between a noun and what describes it, at most; without a bound long prompts take the square of their length.
_REACH = 12


@dataclass(frozen=True)
class Said:
    """A prompt's words as they are compared.

    Attributes:
        keys: folded; "an" is "a".
        ends: whether a phrase ends behind each word.
    """

    keys: tuple[str, ...]
    ends: tuple[bool, ...]

    # Each word that is turned down has its prompt looked at again. Few are kept, as of `p2p.words.written`.
    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, prompt: WrittenPrompt) -> "Said":
        keys = (folded(word.text) for word in prompt.words)
        behind = (prompt.prompt[word.stop : word.whole[1]] for word in prompt.words)
        return cls(
            tuple("a" if key == "an" else key for key in keys), tuple(any(c in _ENDS for c in text) for text in behind)
        )

    @cached_property
    def roles(self) -> tuple[Role, ...]:
        """Of each word."""
        return tuple(map(role_of, self.keys))

    def is_spoken(self, index: int) -> bool:
        """Whether a word says something by itself."""
        return self.roles[index] in ("content", "verb", "number", "negation")

    def is_noun_like(self, index: int) -> bool:
        """Whether a word may be a noun or an adjective."""
        return self.roles[index] == "content" and self.keys[index] not in STYLES

    def leads(self, index: int) -> tuple[str, ...]:
        """The words without meaning of their own right before a word, the nearest first; none beyond a comma."""
        found = []
        while (index := index - 1) >= 0 and not self.is_spoken(index) and not self.ends[index]:
            found.append(self.keys[index])
        return tuple(found)

    def noun_before(self, index: int) -> int | None:
        """The nearest word before one that may be a noun; none beyond `_REACH` words."""
        return next((at for at in range(index - 1, max(-1, index - 1 - _REACH), -1) if self.is_noun_like(at)), None)

    def phrases(self, words: range) -> Iterator[Sequence[int]]:
        """A part of the prompt cut before prepositions and links, and behind commas."""
        phrase: list[int] = []
        for index in words:
            begins = self.roles[index] in ("preposition", "link") and self.keys[index] not in ("of", "and")
            if phrase and (self.ends[index - 1] or (begins and any(map(self.is_spoken, phrase)))):
                yield phrase
                phrase = []
            phrase.append(index)
        if phrase:
            yield phrase


@dataclass(frozen=True)
class Gap:
    """What stands between two words that both prompts share: words of the source, and of the target in their place.

    Attributes:
        next: the words that both share behind it, their indices; None at the prompts' ends.
    """

    gone: range
    new: range
    next: tuple[int, int] | None


def shared(source: Said, target: Said) -> tuple[tuple[int, int], ...]:
    """Indices of words that both prompts have in the same order: equal beginnings and ends first."""
    before, after = source.keys, target.keys
    head, most = 0, min(len(before), len(after))
    while head < most and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < most - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    inner = before[head : len(before) - tail], after[head : len(after) - tail]
    numbers = {key: number for number, key in enumerate(dict.fromkeys((*inner[0], *inner[1])))}
    found = align(*(tuple(numbers[key] for key in keys) for keys in inner))
    return (
        *((at, at) for at in range(head)),
        *((head + i, head + j) for j, i in enumerate(found) if i is not None),
        *((len(before) - tail + at, len(after) - tail + at) for at in range(tail)),
    )


def gaps(source: Said, target: Said, pairs: Sequence[tuple[int, int]]) -> Iterator[Gap]:
    """What the prompts do not share, in order."""
    last = (-1, -1)
    for pair in (*pairs, (len(source.keys), len(target.keys))):
        gone, new = range(last[0] + 1, pair[0]), range(last[1] + 1, pair[1])
        if gone or new:
            yield Gap(gone, new, pair if pair[0] < len(source.keys) else None)
        last = pair
