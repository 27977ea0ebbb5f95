"""Words of a prompt, where they stand, and how a user names them. No tokenizer needed.

A *word* is what stands between white space, without the punctuation around it ("Tiger" of `"Tiger",`).

A *name* is looked for in the whole prompt, also inside a written word: "cat" is in `cat,dog`, in `cat's` and in
`(cat:1.2)`, "red" is in `red-haired`, and in a script without spaces each character can be named. Names are compared
in one normal form: letters composed (NFC), case folded, one apostrophe, one hyphen. A name begins and ends where a
reader sees a word begin and end: "cat" is not in `caterpillar`, and a name has the same occurrences with every model.
`p2p.tokens` then asks whether the model's tokens begin and end there too.
"""

from array import array
from collections.abc import Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

from p2p.pieces import WORDS, Piece, folded, pieces_by_word

#: Between the pieces of one written word, between words, and around every piece. No text holds half a surrogate pair.
_NEXT, _SPACE, _EDGE = "\ud800", "\ud801", "\ud802"

#: Names whose places a prompt keeps.
_NAMES_KEPT = 512

#: First and last character of something in a prompt, half open.
Span = tuple[int, int]


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
    whole: Span


_Words = tuple[tuple[Piece, ...], ...]


class WrittenPrompt:
    """A prompt that is read once and asked for many names."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The words in order; a word of punctuation alone keeps it as its text."""
        made = []
        for pieces in self._words:
            inner = _without_edges(pieces)
            start, stop = inner[0].start, inner[-1].stop
            made.append(Word(self.prompt[start:stop], start, stop, (pieces[0].start, pieces[-1].stop)))
        return tuple(made)

    @cached_property
    def says(self) -> tuple[str, ...]:
        """What two prompts have in common that say the same words: no punctuation, quotes, case or spaces."""
        inner = (piece for pieces in self._words for piece in _without_edges(pieces))
        return tuple(piece.key for piece in inner if piece.kind != "punctuation")

    def find(self, name: str, occurrence: int | None = None) -> tuple[tuple[Span, ...], ...]:
        """Where a name occurs: per occurrence, the characters of each of its words.

        Args:
            name: one word, or several in a row; the punctuation around each is ignored.
            occurrence: which one, counted from 1; None asks for all of them.
        Returns:
            Empty if the prompt does not hold the name, or not so often.
        """
        asked = _asked(name)
        text = self._searched(asked)
        return tuple(text.spans(first, asked) for first in _chosen(text.places(asked), occurrence))

    def holds(self, name: str, occurrence: int | None = None) -> bool:
        """Whether a prompt holds a name, so often."""
        if occurrence is None:
            asked = _asked(name)
            return self._searched(asked).holds(asked)
        return self.count(name) >= occurrence

    def stands_apart(self, name: str, occurrence: int | None = None) -> bool:
        """Whether white space is around each word of a name: then every tokenizer cuts the prompt there."""
        asked = _asked(name)
        text = self._searched(asked)
        return all(text.is_apart(first, asked) for first in _chosen(text.places(asked), occurrence))

    def count(self, name: str) -> int:
        """How often a prompt holds a name."""
        asked = _asked(name)
        return len(self._searched(asked).places(asked))

    def holder(self, name: str) -> str | None:
        """The first written word in which the characters of a name stand as a part of a longer word, if one does."""
        asked = _asked(name)
        if len(asked) == 1:
            wanted = _joined(asked[0])
            for letters, word in zip(self._letters, self.words, strict=True):
                if wanted in letters:
                    return word.text
        return None

    def beyond(self, known: Collection[str]) -> tuple[str, ...]:
        """What a vocabulary of folded words does not hold, each once: words, or the parts of words that are not in it.

        Digits within a word are passed over: "cat" of `(cat:1.5)` is known if "cat" is.
        """
        found: dict[str, str] = {}
        for pieces, word in zip(self._words, self.words, strict=True):
            if pieces[0].key in known and len(pieces) == 1:
                continue
            # An emoji says something, too; a plus or a currency sign between words does not.
            parts = [one for one in pieces if one.kind in WORDS or (one.kind == "symbol" and not one.key.isascii())]
            unknown = [one for one in parts if one.key not in known and (one.kind != "digit" or len(parts) == 1)]
            if not unknown or (_joined(_without_edges(pieces)) in known and all(one.kind in WORDS for one in unknown)):
                continue
            if all(one.kind == "alone" for one in unknown):
                found.setdefault(folded(word.text), word.text)
            else:
                for one in unknown:
                    found.setdefault(one.key, self.prompt[one.start : one.stop])
        return tuple(found.values())

    def _searched(self, asked: _Words) -> "_Searched":
        # A name of punctuation alone may be what is left out at the edges of words.
        return self._inner if _has_words(asked) else self._whole

    @cached_property
    def _words(self) -> _Words:
        return tuple(pieces_by_word(self.prompt))

    @cached_property
    def _letters(self) -> tuple[str, ...]:
        return tuple(map(_joined, self._words))

    @cached_property
    def _whole(self) -> "_Searched":
        return _Searched(self._words, self._words)

    @cached_property
    def _inner(self) -> "_Searched":
        spoken = tuple(filter(_is_spoken, self._words))
        return _Searched(tuple(map(_without_edges, spoken)), spoken)


_READ: ContextVar[dict[str, WrittenPrompt] | None] = ContextVar("prompts that were read", default=None)


class ReadOnce:
    """Every prompt that is asked for within the block is read once, however many there are."""

    def __enter__(self) -> None:
        self._token = _READ.set({})

    def __exit__(self, *_: object) -> None:
        _READ.reset(self._token)


def forget_prompts() -> None:
    """Drops what `ReadOnce` keeps, in the thread that has made it: to free it takes a part of the time."""
    if (read := _READ.get()) is not None:
        read.clear()


def written(prompt: str) -> WrittenPrompt:
    """A prompt that is read once, for all callers that need its words."""
    read = _READ.get()
    if read is None:
        return _written_lately(prompt)
    found = read.get(prompt)
    if found is None:
        found = read[prompt] = _written_lately(prompt)
    return found


# Clients send the same prompts again. Few are kept: one that is all punctuation takes half a megabyte.
@lru_cache(maxsize=32)
def _written_lately(prompt: str) -> WrittenPrompt:
    return WrittenPrompt(prompt)


def words_of(prompt: str) -> tuple[Word, ...]:
    """The words of a prompt in order; see `WrittenPrompt.words`."""
    return written(prompt).words


def count_words(prompt: str) -> int:
    """How many words a prompt has."""
    return len(prompt.split())


def find(prompt: str, name: str, occurrence: int | None = None) -> tuple[tuple[Span, ...], ...]:
    """Where a name occurs in a prompt; see `WrittenPrompt.find`."""
    return written(prompt).find(name, occurrence)


def same_words(source: WrittenPrompt, target: WrittenPrompt) -> bool:
    """Whether two prompts say the same words, whatever punctuation, quotes, case and spaces they are written with.

    The one place that decides it: "reweight" by itself takes such prompts and no others. It aligns them by their
    tokens, which may still differ.
    """
    return source.prompt == target.prompt or source.says == target.says


class _Searched:
    """Words as one text to search in.

    Every piece has a mark on both sides, in the text and in the name. So a name is found where pieces begin and end,
    and nowhere else: "a" is looked at once in `aaaa a`.

    Args:
        words: the pieces of each word that can be named.
        whole: the same with the punctuation around them.
    """

    def __init__(self, words: _Words, whole: _Words) -> None:
        self._pieces = [piece for word in words for piece in word]
        self._text = _text(words)
        self._found: dict[str, Sequence[int]] = {}
        #: Where in the text the mark before each piece is, by the piece's number.
        self._begins: dict[int, int] = {}
        at = 0
        for number, piece in enumerate(self._pieces):
            self._begins[at] = number
            at += len(piece.key) + 3
        self._word_of = [number for number, word in enumerate(words) for _ in word]
        self._starts, self._stops = [word[0].start for word in whole], [word[-1].stop for word in whole]
        pairs = list(zip(words, whole, strict=True))
        #: How many of the words before each one have punctuation before them, and behind them.
        self._before = list(accumulate((one[0] is not all_[0] for one, all_ in pairs), initial=0))
        self._behind = list(accumulate((one[-1] is not all_[-1] for one, all_ in pairs), initial=0))

    def holds(self, asked: _Words) -> bool:
        """Whether a name is there at all."""
        return bool(asked) and _text(asked) in self._text

    def places(self, asked: _Words) -> Sequence[int]:
        """The numbers of the pieces at which a name begins; looked for once, however often it is asked."""
        wanted = _text(asked)
        found = self._found.get(wanted)
        if found is None:
            if len(self._found) >= _NAMES_KEPT:
                self._found.clear()  # a prompt that is asked for often keeps no more than one request may name
            # No list: to free a million numbers of a request one by one takes as long as to find them.
            found = self._found[wanted] = array("L", self._look_for(wanted) if asked else ())
        return found

    def _look_for(self, wanted: str) -> Iterator[int]:
        at = self._text.find(wanted)
        while at >= 0:
            yield self._begins[at]
            at = self._text.find(wanted, at + 1)

    def spans(self, first: int, asked: _Words) -> tuple[Span, ...]:
        """The characters of each word of a name that begins at a piece."""
        made = []
        for word in asked:
            made.append((self._pieces[first].start, self._pieces[first + len(word) - 1].stop))
            first += len(word)
        return tuple(made)

    def is_apart(self, first: int, asked: _Words) -> bool:
        """Whether white space is around each word of a name that begins at a piece."""
        last = first + sum(map(len, asked)) - 1
        left, right = self._word_of[first], self._word_of[last]
        return (
            self._pieces[first].start == self._starts[left]
            and self._pieces[last].stop == self._stops[right]
            and self._before[right + 1] == self._before[left + 1]
            and self._behind[right] == self._behind[left]
        )


def _chosen(places: Sequence[int], occurrence: int | None) -> Sequence[int]:
    return places if occurrence is None else places[occurrence - 1 : occurrence]


def _text(words: _Words) -> str:
    between = f"{_EDGE}{_SPACE}{_EDGE}"
    return _EDGE + between.join(f"{_EDGE}{_NEXT}{_EDGE}".join(piece.key for piece in word) for word in words) + _EDGE


def _joined(word: tuple[Piece, ...]) -> str:
    return "".join(piece.key for piece in word)


def _asked(name: str) -> _Words:
    words = tuple(pieces_by_word(name))
    return tuple(map(_without_edges, filter(_is_spoken, words) if _has_words(words) else words))


def _has_words(words: _Words) -> bool:
    return any(piece.kind in WORDS for word in words for piece in word)


def _is_spoken(word: tuple[Piece, ...]) -> bool:
    """Whether a word is more than punctuation; a name passes over one that is not ("cat dog" in "a cat , dog")."""
    return any(piece.kind != "punctuation" for piece in word)


def _without_edges(word: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """A written word without the punctuation around it; one of punctuation alone keeps it."""
    inner = [index for index, piece in enumerate(word) if piece.kind in WORDS]
    return word[inner[0] : inner[-1] + 1] if inner else word
