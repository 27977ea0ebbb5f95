"""Prompts with weights in them, as other programs write them: what they mean here.

`(word:1.2)` weighs a word by 1.2, `(word)` by 1.1, `[word]` by 1/1.1; nested brackets multiply, and `\\(` is a bracket
that is text. A prompt is read into its text and one `reweight` of the words between the brackets. Nothing else is read:
`[a:b:0.5]`, `[a|b]`, `BREAK` and the like stay as they are written.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from p2p.spec import MAX_WEIGHT
from p2p.words import Span, WrittenPrompt, words_of, written
from process.refusal import Refusal

#: What a pair of brackets without a number is worth.
_ROUND, _SQUARE = 1.1, 1 / 1.1
_NUMBER = re.compile(r":\s{0,8}([+-]?(?:\d{1,8}(?:\.\d{0,8})?|\.\d{1,8}))\s{0,8}$")
#: Characters that the longest number takes with its colon.
_NUMBER_CHARACTERS = 40
#: What looks like a number behind a colon and is none: `1,5`, `1e3`, a second weight, one in square brackets.
_NO_NUMBER = re.compile(r":\s{0,8}[+-]?\.?\d[^\s:]{0,20}\s{0,8}$")
#: Letters, marks, numbers and symbols, by the first letters of Unicode's categories: an emoji can be weighed as well.
_SPOKEN = "LMNS"
#: Decimals of a weight: 1.1 times 1.1 is 1.21, not 1.2100000000000002.
_DIGITS = 6
_CLOSES = {")": "(", "]": "["}
_ESCAPED = frozenset("()[]\\")


class UnreadableWeights(Refusal, ValueError):
    """A prompt whose weights cannot be read; `code` is stable."""


@dataclass(frozen=True)
class WeightedWord:
    """A word as a `reweight` names it."""

    word: str
    occurrence: int | None
    weight: float


@dataclass(frozen=True)
class WeightedPrompt:
    """A prompt without its brackets, and the words that they weigh."""

    text: str
    weights: tuple[WeightedWord, ...]


@dataclass
class _Group:
    """A pair of brackets: where it stands in the text, and by how much it multiplies."""

    bracket: str
    at: int
    start: int
    stop: int = 0
    factor: float = 1.0


@dataclass
class _Reader:
    """The text so far, and the brackets that were opened, in their order."""

    text: list[str] = field(default_factory=list)
    groups: list[_Group] = field(default_factory=list)
    open: list[_Group] = field(default_factory=list)
    #: Where the last bracket was closed: a number before it is another pair's.
    closed: int = 0


def weighted(prompt: str) -> WeightedPrompt:
    """A prompt's text and the weights of its words; in time in proportion to its length.

    Raises:
        UnreadableWeights: a bracket is not closed, or cuts a word in two, or a weight is out of range.
    """
    reader = _read(prompt)
    text = "".join(reader.text)
    words = tuple(_words(text, [group for group in reader.groups if group.stop > group.start]))
    return WeightedPrompt(text.strip(), words)


def _read(prompt: str) -> _Reader:
    reader, at = _Reader(), 0
    while at < len(prompt):
        character = prompt[at]
        if character == "\\" and prompt[at + 1 : at + 2] in _ESCAPED and at + 1 < len(prompt):
            reader.text.append(prompt[at + 1])
            at += 2
            continue
        if character == "[" and (stop := _other_program(prompt, at)):
            reader.text.extend(prompt[at:stop])
            at = stop
            continue
        if character in "([":
            group = _Group(character, at, len(reader.text))
            reader.groups.append(group)
            reader.open.append(group)
        elif character in ")]":
            _close(reader, character, at)
        else:
            reader.text.append(character)
        at += 1
    if reader.open:
        raise _unpaired(reader.open[-1].bracket, reader.open[-1].at)
    return reader


def _other_program(prompt: str, at: int) -> int:
    """The end of `[a:b:0.5]` or `[a|b]` at a place, which are no weights; 0 if none stands there."""
    stop = prompt.find("]", at)
    inner = prompt[at + 1 : stop] if stop > 0 else ""
    return stop + 1 if (":" in inner or "|" in inner) and not ("[" in inner or "(" in inner or ")" in inner) else 0


def _close(reader: _Reader, bracket: str, at: int) -> None:
    if not reader.open or reader.open[-1].bracket != _CLOSES[bracket]:
        raise _unpaired(bracket, at)
    group = reader.open.pop()
    group.factor = _ROUND if bracket == ")" else _SQUARE
    since = max(group.start, reader.closed, len(reader.text) - _NUMBER_CHARACTERS)
    if bracket == ")" and (number := _NUMBER.search("".join(reader.text[since:]))):
        group.factor = float(number[1])
        del reader.text[since + number.start() :]
    since = max(since, len(reader.text) - _NUMBER_CHARACTERS)
    if wrong := _NO_NUMBER.search("".join(reader.text[since:])):
        raise UnreadableWeights(
            "weight_not_read",
            f"{wrong[0].strip()!r} is no weight: write (word:1.2), with a point and once, "
            "or \\( and \\) if the brackets are text",
        )
    group.stop = reader.closed = len(reader.text)


def _unpaired(bracket: str, at: int) -> UnreadableWeights:
    return UnreadableWeights(
        "bracket_not_closed",
        f"the bracket {bracket} at character {at + 1} has no other half: add it, or write \\{bracket} for a bracket",
    )


def _words(text: str, groups: list[_Group]) -> Iterator[WeightedWord]:
    """The words between brackets, each with the product of its brackets' factors."""
    prompt = written(text)
    places: dict[str, dict[Span, int]] = {}
    first = 0
    for start, stop, weight in _runs(groups):
        if round(weight, _DIGITS) == 1:
            continue
        if not -MAX_WEIGHT <= weight <= MAX_WEIGHT:
            raise UnreadableWeights(
                "weight_out_of_range",
                f"the brackets around {text[start:stop]!r} come to {weight:g}: stay within {MAX_WEIGHT:g} either way",
            )
        while first < len(prompt.words) and prompt.words[first].stop <= start:
            first += 1
        for name, span in _names(prompt, first, start, stop):
            if name not in places:
                found = prompt.find(name)
                places[name] = {spans[0]: index for index, spans in enumerate(found, 1)}
            if span not in places[name]:
                raise UnreadableWeights(
                    "weight_within_word",
                    f"the brackets around {name!r} begin or end inside a word: put them around the whole word",
                )
            several = len(places[name]) > 1
            yield WeightedWord(name, places[name][span] if several else None, round(weight, _DIGITS))


def _names(prompt: WrittenPrompt, first: int, start: int, stop: int) -> Iterator[tuple[str, Span]]:
    """The words of a part of a prompt, from the first that reaches into it, each cut to the part."""
    inside: list[tuple[str, Span]] = []
    for word in prompt.words[first : first + stop - start]:
        if word.start >= stop:
            break
        left, right = max(word.start, start), min(word.stop, stop)
        if left < right:
            own = words_of(prompt.prompt[left:right])
            inside += ((each.text, (left + each.start, left + each.stop)) for each in own)
    # Commas between words are not weighed, unless there is nothing else between the brackets.
    spoken = [(name, span) for name, span in inside if any(unicodedata.category(c)[0] in _SPOKEN for c in name)]
    yield from spoken or inside


def _runs(groups: list[_Group]) -> Iterator[tuple[int, int, float]]:
    """The parts of a text that have one weight, in order; `groups` are in the order in which they open."""
    edges = sorted({edge for group in groups for edge in (group.start, group.stop)})
    inside: list[tuple[int, float]] = [(edges[-1], 1.0)] if edges else []
    coming = iter([*groups, None])
    group = next(coming)
    for start, stop in pairwise(edges):
        while inside[-1][0] <= start:
            inside.pop()
        while group is not None and group.start <= start:
            inside.append((group.stop, inside[-1][1] * group.factor))
            group = next(coming)
        yield start, stop, inside[-1][1]
