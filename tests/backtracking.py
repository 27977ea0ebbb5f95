"""Python's regular expressions once more, by a matcher that counts what it does.

`re` tells nothing of its work. This one walks the same parse tree (`re._parser`) and goes back where `re` goes back, so
that it counts what `re` would do but for its shortcuts, which only ever save work. It is held equal to `re` on every
text that it is given.
"""

import re
from collections.abc import Callable, Iterator
from re import _constants as code
from re import _parser as parser
from typing import Any

Node = tuple[Any, Any]
Groups = dict[int, tuple[int, int]]

_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    code.CATEGORY_DIGIT: str.isdecimal,
    code.CATEGORY_SPACE: str.isspace,
    code.CATEGORY_WORD: lambda one: one.isalnum() or one == "_",
}
_NOT = {
    code.CATEGORY_NOT_DIGIT: code.CATEGORY_DIGIT,
    code.CATEGORY_NOT_SPACE: code.CATEGORY_SPACE,
    code.CATEGORY_NOT_WORD: code.CATEGORY_WORD,
}


class TooManySteps(Exception):
    """Matching took more steps than it may."""


class Work:
    """A pattern, and how many steps matching it took so far.

    Args:
        most: steps after which it gives up, with `TooManySteps`.
    """

    def __init__(self, pattern: re.Pattern, most: int = 100_000) -> None:
        self.steps, self._most = 0, most
        # Bytes as the characters of the same numbers.
        text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
        self.tree = parser.parse(text, pattern.flags & ~re.UNICODE)
        self._flags = self.tree.state.flags

    def match(self, text: str, at: int = 0, *, whole: bool = False) -> int | None:
        """Where a match at a place ends, as `re.match` and `re.fullmatch` have it."""
        ends = self._sequence(list(self.tree), 0, text, at, {})
        return next((stop for stop, _ in ends if not whole or stop == len(text)), None)

    def search_all(self, text: str) -> Iterator[tuple[int, int]]:
        """Every match, as `re.finditer` has it."""
        at, empty_at = 0, -1
        while at <= len(text):
            ends = (stop for stop, _ in self._sequence(list(self.tree), 0, text, at, {}))
            stop = next((stop for stop in ends if not (stop == at and at == empty_at)), None)
            if stop is None:
                at += 1
                continue
            yield at, stop
            # After a match an empty one may not stand at its end, unless it is longer than nothing.
            at, empty_at = stop, stop

    def _step(self) -> None:
        self.steps += 1
        if self.steps > self._most:
            raise TooManySteps

    def _sequence(self, nodes: list[Node], index: int, text: str, at: int, groups: Groups) -> Iterator:
        self._step()
        if index == len(nodes):
            yield at, groups
            return
        for stop, after in self._node(nodes[index], text, at, groups):
            yield from self._sequence(nodes, index + 1, text, stop, after)

    def _node(self, node: Node, text: str, at: int, groups: Groups) -> Iterator:
        op, argument = node
        self._step()
        if op in (code.LITERAL, code.NOT_LITERAL, code.ANY, code.IN):
            if at < len(text) and self._takes(node, text[at]):
                yield at + 1, groups
        elif op is code.BRANCH:
            for branch in argument[1]:
                yield from self._sequence(list(branch), 0, text, at, groups)
        elif op is code.SUBPATTERN:
            group, on, off, inner = argument
            before, self._flags = self._flags, (self._flags | on) & ~off
            for stop, after in self._sequence(list(inner), 0, text, at, groups):
                yield stop, after if group is None else {**after, group: (at, stop)}
            self._flags = before
        elif op in (code.MAX_REPEAT, code.MIN_REPEAT):
            least, most, inner = argument
            yield from self._repeat(list(inner), least, most, op is code.MAX_REPEAT, text, at, groups)
        elif op in (code.POSSESSIVE_REPEAT, code.ATOMIC_GROUP):
            least, most, inner = argument if op is code.POSSESSIVE_REPEAT else (1, 1, argument)
            yield from list(self._repeat(list(inner), least, most, True, text, at, groups))[:1]
        elif op in (code.ASSERT, code.ASSERT_NOT):
            direction, inner = argument
            width = inner.getwidth()[0] if direction < 0 else 0
            found = at >= width and next(self._sequence(list(inner), 0, text, at - width, groups), None)
            if bool(found) == (op is code.ASSERT):
                yield at, groups
        elif op is code.GROUPREF:
            start, stop = groups[argument]
            self.steps += stop - start
            if text.startswith(text[start:stop], at):
                yield at + stop - start, groups
        elif op is code.AT:
            if self._is_at(argument, text, at):
                yield at, groups
        else:
            raise NotImplementedError(op)

    def _repeat(self, inner, least, most, greedy, text, at, groups) -> Iterator:
        # Without recursion for what takes one character each time, which is most.
        if len(inner) == 1 and inner[0][0] in (code.LITERAL, code.NOT_LITERAL, code.ANY, code.IN):
            stop, limit = at, len(text) if most is code.MAXREPEAT else min(len(text), at + int(most))
            if greedy:
                while stop < limit and self._takes(inner[0], text[stop]):
                    stop += 1
                for end in range(stop, at + least - 1, -1):
                    self._step()
                    yield end, groups
                return
            while True:
                if stop - at >= least:
                    yield stop, groups
                if stop >= limit or not self._takes(inner[0], text[stop]):
                    return
                stop += 1
        yield from self._many(inner, least, most, greedy, text, at, groups, 0)

    def _many(self, inner, least, most, greedy, text, at, groups, times) -> Iterator:
        self._step()
        if not greedy and times >= least:
            yield at, groups
        if most is code.MAXREPEAT or times < most:
            for stop, after in self._sequence(inner, 0, text, at, groups):
                if stop > at or times < least:
                    yield from self._many(inner, least, most, greedy, text, stop, after, times + 1)
        if greedy and times >= least:
            yield at, groups

    def _takes(self, node: Node, one: str) -> bool:
        self._step()
        op, argument = node
        if op is code.ANY:
            return one != "\n" or bool(self._flags & re.DOTALL)
        forms = {one, one.lower(), one.upper()} if self._flags & re.IGNORECASE else {one}
        if op in (code.LITERAL, code.NOT_LITERAL):
            return any(ord(form) == argument for form in forms if len(form) == 1) == (op is code.LITERAL)
        items, is_negated = list(argument), False
        if items[0][0] is code.NEGATE:
            items, is_negated = items[1:], True
        return any(self._holds(item, form) for item in items for form in forms if len(form) == 1) != is_negated

    def _holds(self, item: Node, one: str) -> bool:
        kind, value = item
        match kind:
            case code.LITERAL:
                return ord(one) == value
            case code.RANGE:
                return value[0] <= ord(one) <= value[1]
        return _CATEGORIES[value](one) if value in _CATEGORIES else not _CATEGORIES[_NOT[value]](one)

    def _is_at(self, where: Any, text: str, at: int) -> bool:
        many = bool(self._flags & re.MULTILINE)
        word = _CATEGORIES[code.CATEGORY_WORD]
        match where:
            case code.AT_BEGINNING:
                return at == 0 or (many and text[at - 1] == "\n")
            case code.AT_BEGINNING_STRING:
                return at == 0
            case code.AT_END:
                return at == len(text) or text[at:] == "\n" or (many and text[at] == "\n")
            case code.AT_END_STRING:
                return at == len(text)
            case code.AT_BOUNDARY | code.AT_NON_BOUNDARY:
                before, after = at > 0 and word(text[at - 1]), at < len(text) and word(text[at])
                return (before != after) == (where is code.AT_BOUNDARY)
        raise NotImplementedError(where)


def pieces_of(pattern: re.Pattern) -> list[str]:
    """Texts that a pattern's parts take, and the characters that they do not: what a hostile text is made of."""
    found: dict[str, None] = {}

    def text_of(nodes: Any) -> str:
        made = ""
        for node in nodes:
            if made and node[0] in (code.MAX_REPEAT, code.MIN_REPEAT):
                found[made] = None  # what leads to a repeat, and begins it again and again
            made += of_node(node)
        return made

    def of_node(node: Node) -> str:
        op, argument = node
        made = ""
        match op:
            case code.LITERAL:
                made = chr(argument)
            case code.NOT_LITERAL:
                made = "a" if argument != ord("a") else "b"
            case code.ANY:
                made = "x"
            case code.IN:
                for one in "a0_ -.:/;(é\n":
                    if _in(argument, one):
                        found[one] = None
                        made = made or one
                if not made:
                    (kind, value), *_ = [item for item in argument if item[0] is not code.NEGATE]
                    made = chr(value) if kind is code.LITERAL else chr(value[0]) if kind is code.RANGE else "a"
            case code.BRANCH:
                branches = [text_of(branch) for branch in argument[1]]
                made = branches[0]
            case code.SUBPATTERN:
                made = text_of(argument[3])
            case code.MAX_REPEAT | code.MIN_REPEAT | code.POSSESSIVE_REPEAT:
                made = text_of(argument[2]) * max(1, int(argument[0]))
            case code.ATOMIC_GROUP:
                made = text_of(argument)
            case code.ASSERT | code.ASSERT_NOT:
                text_of(argument[1])
                return ""
        if made:
            found[made] = None
        return made

    whole = text_of(Work(pattern).tree)
    for outside in ("!", "\x00", "a", "0", " ", "\n", '"', "\\", "é"):
        found[outside] = None
    found.pop(whole, None)
    found[whole] = None
    return [text for text in found if text]


def _in(items: Any, one: str) -> bool:
    negated = items[0][0] is code.NEGATE
    work = object.__new__(Work)
    return any(Work._holds(work, item, one) for item in items[1 if negated else 0 :]) != negated
