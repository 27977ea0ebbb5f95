"""Words of a prompt, where they stand, and how a user names them. No tokenizer needed.

A word is what stands between white space. It is *named* without regard to case or to the punctuation around it
("tiger" finds "Tiger,"), and a name may hold several words in a row ("fire engine").
"""

import re
from dataclasses import dataclass

_WORD = re.compile(r"\S+")
#: What may surround a word without being part of its name.
_EDGES = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True)
class Word:
    """One word of a prompt.

    Attributes:
        text: the word without the punctuation around it, as written ("Tiger" of "Tiger,").
        start, stop: characters of `text` in the prompt, half open.
        whole: characters of the word with its punctuation, half open.
    """

    text: str
    start: int
    stop: int
    whole: tuple[int, int]


def words_of(prompt: str) -> tuple[Word, ...]:
    """The words of a prompt in order; a word of punctuation alone keeps it as its text."""
    words = []
    for match in _WORD.finditer(prompt):
        text = _EDGES.sub("", match[0]) or match[0]
        start = match.start() + match[0].index(text)
        words.append(Word(text, start, start + len(text), match.span()))
    return tuple(words)


def count_words(prompt: str) -> int:
    """How many words a prompt has."""
    return len(_WORD.findall(prompt))


def find(prompt: str, name: str, occurrence: int | None = None) -> tuple[tuple[int, ...], ...]:
    """Where a name occurs in a prompt: per occurrence, the indices of its words.

    Args:
        prompt: the prompt looked in.
        name: one word, or several in a row.
        occurrence: which one, counted from 1; None asks for all of them.
    Returns:
        Empty where the prompt does not hold the name (or not so often).
    """
    present = [word.text.casefold() for word in words_of(prompt)]
    wanted = [word.text.casefold() for word in words_of(name)]
    if not wanted:
        return ()
    starts = [i for i in range(len(present) - len(wanted) + 1) if present[i : i + len(wanted)] == wanted]
    found = tuple(tuple(range(i, i + len(wanted))) for i in starts)
    return found if occurrence is None else found[occurrence - 1 : occurrence]
