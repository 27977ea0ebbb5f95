"""Every regular expression of the product takes steps in proportion to what it reads, whatever that is.

The patterns are collected from the source. Each is matched by `tests.backtracking`, which counts steps as `re` would
take them, with texts that are made of what the pattern itself takes and refuses. Twice the text may take three times
the steps: a linear pattern takes twice as many, a quadratic one four times.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, product
from pathlib import Path

import pytest
from pydantic import BaseModel

from jobs.redis import refusal
from process import cell
from process.sentinel_url import OWN
from prompts.notices import foreign
from service.edits import submit
from tests.backtracking import TooManySteps, Work, pieces_of

ROOT = Path(__file__).parents[2]
PARTS = (
    *("p2p", "p2p_client", "worker", "stack", "admin"),
    *("service", "layers", "jobs", "process", "prompts", "picture_files", "webhooks", "outbox", "reaper", "router"),
)
#: Functions of `re` that go on behind a match or try every place; the others begin at one place.
EVERYWHERE = frozenset({"search", "sub", "subn", "split", "findall", "finditer"})
AT_ONE_PLACE = frozenset({"match", "fullmatch"})
#: Patterns that are put together when they are used, by file and by how they are written: as they come to be.
MADE = {
    ("prompts/notices/foreign.py", "pattern"): [each.pattern for each in foreign._PATTERNS],
    ("jobs/redis/refusal.py", "words"): [words for words, _ in refusal._MENDED_BY_WORDS],
    ("process/redis_url.py", "f'(?:^|&){OWN}tls=([^&]*)'"): [f"(?:^|&){OWN}tls=([^&]*)"],
    ("process/cell.py", r"f'(?:({CELL})-)?(?:img_)?[0-9a-f]{{32}}'"): [cell._OURS.pattern],
    ("router/cells.py", "CELL"): [cell.CELL],
    ("service/edits/submit.py", r"f'{PREFIX}[0-9a-f]{{32}}'"): [submit._OURS.pattern],
    ("service/http/cursors.py", r"f'(\\d{{1,15}}) ({ids})'"): [
        f"(\\d{{1,15}}) ({cell.PREFIX}{ids})" for ids in ("[0-9a-f]{32}", "img_[0-9a-f]{32}")
    ],
}
#: How often a part is repeated, and then twice as often: the second only where the first shows too much.
REPEATS = (16, 80)

Found = tuple[str, str, int, frozenset[str]]


def found_patterns() -> Iterator[Found]:
    """Where each pattern stands, the pattern, its flags, and what is done with it."""
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8")) for part in PARTS for path in (ROOT / part).rglob("*.py")
    }
    nodes = {path: list(ast.walk(tree)) for path, tree in trees.items()}
    used = _used(nodes.values())
    for path, own in sorted(nodes.items()):
        file = str(path.relative_to(ROOT))
        names = {id(node.value): node.targets[0].id for node in own if _is_named(node)}
        for node in own:
            if isinstance(node, ast.Call) and _is_of_re(node.func):
                how = node.func.attr
                # Of a pattern that has no name nothing is known: then all is tried.
                does = used.get(names.get(id(node), ""), EVERYWHERE | AT_ONE_PLACE) if how == "compile" else {how}
                flags = _flags(node, 1 if how == "compile" else {"sub": 4, "split": 3}.get(how, 2))
                for pattern in _patterns(file, node.args[0]):
                    yield f"{file}:{node.lineno}", pattern, flags, frozenset(does)


def _is_named(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)


def _used(nodes: Iterable[Iterable[ast.AST]]) -> Mapping[str, set[str]]:
    """What is done anywhere with what has a name."""
    used: dict[str, set[str]] = {}
    for node in chain.from_iterable(nodes):
        is_method = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if is_method and node.attr in EVERYWHERE | AT_ONE_PLACE:
            used.setdefault(node.value.id, set()).add(node.attr)
    return used


def _is_of_re(called: ast.expr) -> bool:
    return (
        isinstance(called, ast.Attribute)
        and isinstance(called.value, ast.Name)
        and called.value.id == "re"
        and called.attr in EVERYWHERE | AT_ONE_PLACE | {"compile"}
    )


def _patterns(file: str, node: ast.expr) -> list[str | bytes]:
    try:
        return [ast.literal_eval(node)]
    except ValueError:
        return MADE[file, ast.unparse(node)]  # a pattern that is made in a new way belongs into the table


def _flags(node: ast.Call, index: int) -> int:
    given = [keyword.value for keyword in node.keywords if keyword.arg == "flags"] + node.args[index : index + 1]
    return int(eval(ast.unparse(given[0]), {"re": re})) if given else 0


PATTERNS = {(where, pattern): (flags, does) for where, pattern, flags, does in found_patterns()}


def hostile(pattern: re.Pattern) -> Iterator[tuple[str, str, str]]:
    """Parts to repeat, with what stands before and behind: what the pattern's own parts take, and what none takes."""
    pieces = pieces_of(pattern)
    repeated = [*pieces, *(one + other for one, other in product(pieces[:6], repeat=2) if one != other)]
    for part in repeated:
        for before, after in product(dict.fromkeys(("", "a", pieces[0], pieces[-1])), ("", "a", "!")):
            yield before, part, after


def steps(pattern: re.Pattern, text: str, does: frozenset[str]) -> int:
    """What the counting matcher takes for a text, after it has found what `re` finds."""
    work = Work(pattern)
    given = text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")
    if does & EVERYWHERE:
        assert list(work.search_all(text)) == [match.span() for match in pattern.finditer(given)]
    if does & AT_ONE_PLACE or not does:
        for whole in (False, True):
            match = (pattern.fullmatch if whole else pattern.match)(given)
            assert work.match(text, whole=whole) == (match and match.end())
    return work.steps


def grows(pattern: re.Pattern, does: frozenset[str]) -> str | None:
    """What takes more than in proportion when it is repeated; None if nothing does."""
    for before, part, after in hostile(pattern):
        # What grows up to a bound of the pattern, such as {1,40}, grows no more beyond it.
        for short in REPEATS:
            texts = [before + part * repeats + after for repeats in (short, 2 * short)]
            with suppress(TooManySteps):
                less, more = (steps(pattern, text, does) for text in texts)
                if more <= 3 * less + 50:
                    break
        else:
            return before + part + after
    return None


@pytest.fixture(autouse=True)
def deep() -> Iterator[None]:
    """The matcher calls itself for every repeat."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.parametrize(("where", "pattern"), PATTERNS, ids=lambda each: str(each)[:60])
def test_no_text_costs_more_than_in_proportion_to_its_length(where, pattern):
    flags, does = PATTERNS[where, pattern]

    assert grows(re.compile(pattern, flags), does) is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(a|a)*b",
        r"a*a*b",
        r"\s+$",
        r"(.*,)*x",
        r"\w+@\w+",
        r"^\W*(.*?)\W*$",
        r"([a-z]+)*\d",
        r"<.*?>.*?</b>",
        r"(?:x+x+)+y",
        r"\"(?:[^\"]|\\.)*\"x",
        r"(?:[^:]*:)*\s*;",
    ],
)
def test_a_pattern_that_goes_back_and_forth_is_found(pattern):
    assert grows(re.compile(pattern), EVERYWHERE) is not None


def test_patterns_are_looked_for_where_they_are():
    files = {where.partition(":")[0] for where, _ in PATTERNS}

    assert {
        "service/http/bodies.py",
        "process/addresses.py",
        "prompts/notices/foreign.py",
        "p2p/layouts/weights.py",
    } <= files


def test_patterns_of_fields_are_matched_by_an_engine_that_never_goes_back():
    # pydantic's own, of Rust, unless a model asks for Python's.
    sources = [path.read_text(encoding="utf-8") for part in PARTS for path in (ROOT / part).rglob("*.py")]

    assert not any("regex_engine" in source for source in sources)
    assert BaseModel.model_config.get("regex_engine", "rust-regex") == "rust-regex"
