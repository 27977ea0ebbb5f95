"""The least parts of a prompt that a name can begin and end with, and the one form in which names are compared."""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

#: What a character is: a letter, a digit, a character that is a word by itself (scripts without spaces), a symbol such
#: as an emoji, punctuation, or a mark that belongs to the character before it.
Kind = Literal["letter", "digit", "alone", "symbol", "punctuation", "mark"]
WORDS: frozenset[Kind] = frozenset({"letter", "digit", "alone"})

#: First and last characters of the scripts that are written without spaces between words.
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x3005, 0x3007),  # Han, repetition and zero
    (0x3040, 0x31FF),  # Hiragana, Katakana, Bopomofo
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA980, 0xA9DF),  # Javanese
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9D),  # Katakana, half width
    (0x1B000, 0x1B16F),  # Kana, supplements
    (0x20000, 0x3FFFF),  # Han, further extensions
)
_JOINER = "\u200d"
#: Variation selectors: whether a symbol is drawn as text or as a picture. Some keyboards write one, others none.
_SELECTORS: dict[int, None] = dict.fromkeys((0xFE0E, 0xFE0F))
#: Characters that keyboards and word processors put in place of an apostrophe or a hyphen.
_SAME = {ord(one): "'" for one in "\u2018\u2019\u201b\u02bc\u2032\uff07\u0060\u00b4"} | {
    ord(one): "-" for one in "\u2010\u2011\uff0d"
}
_PLAIN: dict[int, str | None] = {**_SAME, **_SELECTORS}


class Piece(NamedTuple):
    """The least that can be named: letters in a row, digits in a row, or one other character, with its marks."""

    start: int
    stop: int
    key: str
    kind: Kind


def folded(text: str) -> str:
    """The form in which names are compared: composed (NFC), case folded, one apostrophe, one hyphen, no selectors."""
    plain = text.translate(_PLAIN)
    if plain.isascii():
        return plain.casefold()
    # Decomposed before folding, so that letters that are canonically equal fold to the same (Unicode, D145).
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", plain).casefold())


def pieces_by_word(text: str) -> Iterator[tuple[Piece, ...]]:
    """Per written word, its pieces in order."""
    at = 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        if word.isascii() and word.isalpha():  # most words: one piece
            yield (Piece(start, at, word.casefold(), "letter"),)
        else:
            yield tuple(
                Piece(start + left, start + right, folded(word[left:right]), kind) for left, right, kind in _runs(word)
            )


def _runs(word: str) -> Iterator[tuple[int, int, Kind]]:
    """A written word cut into pieces, each with its first and last character."""
    start, kind, joined = 0, None, False
    for at, character in enumerate(word):
        own = _kind(character)
        if own == "mark":
            if kind is not None:
                joined = character == _JOINER and kind == "symbol"
                continue
            own = "punctuation"  # a mark without a character to belong to
        goes_on = own == kind and (joined or kind in ("letter", "digit"))
        if kind is not None and not goes_on:
            yield start, at, kind
            start = at
        kind, joined = own, False
    if kind is not None:
        yield start, len(word), kind


@lru_cache(maxsize=4096)
def _kind(character: str) -> Kind:
    if ord(character) in _SAME:
        return "punctuation"
    category, code = unicodedata.category(character), ord(character)
    if category[0] == "M" or character == _JOINER or 0x1F3FB <= code <= 0x1F3FF:  # skin tones
        return "mark"
    if category[0] == "L":
        return "alone" if any(first <= code <= last for first, last in _WITHOUT_SPACES) else "letter"
    if category[0] == "N":
        return "digit"
    return "symbol" if category == "So" else "punctuation"
