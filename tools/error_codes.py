"""`python -m tools.error_codes`: every code that an answer or a failed edit may carry, as docs/errors.md's tables.

With --write they are put into that file. They are read from the source, where a code stands beside its message: what
is refused in a new way is in the table, or the test that holds the file to this fails.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from service.http.errors import FORM_ERRORS, HTTP_ERRORS, STATUSES
from tools.markdown import print_or_put, table

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "errors.md"
PART = "codes"

_CODE = re.compile(r"[a-z]+(_[a-z]+)+|moderated")
#: Where a field's codes are written, those of notices, and those of edits that fail.
FIELDS = (
    "p2p/spec/*.py",
    "process/addresses.py",
    "service/*.py",
    "service/*/*.py",
    "prompts/*.py",
    "picture_files/*.py",
    "picture_files/decoding/*.py",
)
NOTICES = ("prompts/notices/*.py",)
FAILURES = ("worker/*.py", "jobs/moves.py")
#: The trees of errors; a class's first line says what it means.
TREES = (
    "service/http/errors.py",
    "layers/body_errors.py",
    "layers/door_errors.py",
    "jobs/errors.py",
    "process/turns.py",
    "process/addresses.py",
    "p2p/errors.py",
)
#: Codes of the sampler that only who calls it as a library can see.
OF_CALLERS = frozenset({"p2p_error", "several_seeds", "seed_not_drawn", "mixed_batch", "wrong_trajectory"})


@dataclass(frozen=True)
class Said:
    """A code where it is written, and its message; what is filled in when it is said is an ellipsis."""

    code: str
    message: str
    file: str


def said_in(*patterns: str) -> Iterator[Said]:
    """Every code that stands beside a message in files of the repository."""
    for path in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        name = str(path.relative_to(ROOT))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {
            line.targets[0].id: _message(line.value, {})
            for line in tree.body
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)
        }
        for node in _in_order(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                named[node.targets[0].id] = _message(node.value, {})
            for code, message in _pairs(node, named):
                yield Said(code, message, name)


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one as they are read: a name stands for the message that it was given last."""
    for child in ast.iter_child_nodes(node):
        yield child
        yield from _in_order(child)


def _pairs(node: ast.AST, named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    row: list[ast.expr] = []
    match node:
        case ast.Call():
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            said = keywords.get("detail") or keywords.get("message")
            row = [*([keywords["code"]] if "code" in keywords else []), *([said] if said else [])] or node.args
        case ast.Tuple():
            row = node.elts
        case ast.Dict():
            pairs = zip(node.keys, node.values, strict=True)
            keys = {key.value: value for key, value in pairs if isinstance(key, ast.Constant)}
            row = [keys["code"], keys["detail"]] if {"code", "detail"} <= keys.keys() else []
    for first, second in pairwise(row):
        message = _message(second, named)
        match first:
            case ast.Constant(value=str(code)) if message and _CODE.fullmatch(code):
                yield code, message


def _message(node: ast.expr, named: Mapping[str, str]) -> str:
    """A message as it is written; empty where it is none."""
    match node:
        case ast.Constant(value=str(text)) if " " in text:
            return re.sub(r"\{[^{}]*\}", "…", text).replace("{{", "{").replace("}}", "}")
        case ast.JoinedStr():
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        case ast.Name(id=name):
            return named.get(name, "")
    return ""


def classes() -> Iterator[tuple[str, Said]]:
    """The name of every error of the trees with a code of its own, and what its docstring says of it."""
    for file in TREES:
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and (code := _class_code(node)):
                yield node.name, Said(code, (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " "), file)


def _class_code(node: ast.ClassDef) -> str | None:
    for line in node.body:
        match line:
            case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                return code
            case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(code))):
                return code
    return None


def answers() -> Iterator[tuple[int, str, str]]:
    """Status, code and meaning of every problem document."""
    meanings = dict(classes())
    for kind, its_status in STATUSES.items():
        yield int(its_status), meanings[kind.__name__].code, meanings[kind.__name__].message
    for errors in (HTTP_ERRORS, FORM_ERRORS):
        yield from ((status, code, detail) for status, (code, detail) in errors.items())
    messages = dict(said("service/http/errors.py"))
    for node in ast.walk(ast.parse((ROOT / "service/http/errors.py").read_text(encoding="utf-8"))):
        match node:
            case ast.Call(
                func=ast.Name(id="_Answer"), args=[ast.Constant(value=int(status)), ast.Constant(value=str(code)), *_]
            ) if code in messages:
                yield status, code, messages[code]
    yield 422, "invalid_request", "The body is not what this address takes: `errors` points at every field."


def said(*patterns: str) -> Iterator[tuple[str, str]]:
    """Codes and messages, each once."""
    return iter({(one.code, one.message): None for one in said_in(*patterns)})


def document() -> str:
    """The tables."""
    of_answers = sorted(set(answers()))
    answered = {code for _, code, _ in of_answers}
    fields = [(code, message) for code, message in said(*FIELDS) if code not in answered]
    trees = [(one.code, one.message) for _, one in classes() if one.file == "process/addresses.py"]
    passed_on = [one for name, one in classes() if one.file == "p2p/errors.py" or name == "StorageUnavailable"]
    failed = [*said(*FAILURES), *((one.code, one.message) for one in passed_on if one.code not in OF_CALLERS)]
    return "".join(
        f"\n## {heading}\n\n{text}\n\n{table(head, rows)}"
        for heading, text, head, rows in (
            (
                "Answers",
                "`code` of a problem document.",
                ("status", "code", ""),
                [(status, f"`{code}`", meaning) for status, code, meaning in of_answers],
            ),
            (
                "Fields",
                "`errors[].code`: what is wrong with the field at `pointer`. A code that is not here is pydantic's own "
                "type of error.",
                ("code", "message"),
                _grouped([*fields, *trees]),
            ),
            (
                "Notices",
                "`notices[].code` of an edit that was accepted: what may not be as its sender thinks, about the field "
                "at `pointer`.",
                ("code", "detail"),
                _grouped(said(*NOTICES)),
            ),
            (
                "Edits that failed",
                "`error.code` of an edit that ended as `failed`.",
                ("code", "message"),
                _grouped(failed),
            ),
        )
    )


def _grouped(rows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    by_code: dict[str, list[str]] = {}
    for code, message in rows:
        by_code.setdefault(code, []).append(message)
    return [(f"`{code}`", "<br>".join(messages)) for code, messages in sorted(by_code.items())]


if __name__ == "__main__":
    print_or_put(__doc__.splitlines()[0], DOCUMENT, PART, document())
