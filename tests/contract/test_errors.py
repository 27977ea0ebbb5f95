"""One table has every error code: the source, the documents and the clients say what it says."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import yaml

from p2p.errors import P2PError
from p2p_client import codes
from process.error_codes import Place, codes_at, error_codes, status_of
from tools.error_codes import CLIENTS, DOCUMENT, PART, document
from tools.markdown import with_part

ROOT = Path(__file__).parents[2]
PRODUCT = (
    *("p2p", "service", "layers", "jobs", "process", "prompts", "picture_files", "webhooks", "outbox", "reaper"),
    *("admin", "router", "worker"),
)
#: Where a base class stands for its tree, and is never raised itself.
BASES = {"service_error", "job_plane_error", "body_refused", "request_refused", "p2p_error"}
_CODE = re.compile(r"[a-z]+(_[a-z]+)+|moderated|timeout")
#: Strings of a code's shape beside a sentence, which are no codes.
NO_CODES = {"extra_ids", "null_text", "negative_prompt"}


def written(tree: ast.AST) -> Iterator[str]:
    """Every code in a file: `code = "..."` of a class, `code="..."` of a call, or a string before a sentence."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(body=lines):
                for line in lines:
                    match line:
                        case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                            yield code
                        case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(code))):
                            yield code
            case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                yield code
        row = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
        for first, second in pairwise(row):
            match first:
                case ast.Constant(value=str(code)) if _CODE.fullmatch(code) and _is_sentence(second):
                    yield code


def _is_sentence(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return " " in text
        case ast.Name(id=name):
            return name.startswith("_") and name.isupper()
    return isinstance(node, ast.JoinedStr)


def codes_of_the_source() -> dict[str, str]:
    """Each code, and a file that has it."""
    found = {}
    for path in sorted(path for part in PRODUCT for path in (ROOT / part).rglob("*.py")):
        for code in written(ast.parse(path.read_text(encoding="utf-8"))):
            found[code] = str(path.relative_to(ROOT))
    return {code: file for code, file in found.items() if code not in BASES | NO_CODES}


def test_every_code_of_the_source_is_a_row():
    assert {code: file for code, file in codes_of_the_source().items() if code not in error_codes()} == {}


def test_every_row_is_said_by_the_source():
    text = "".join(path.read_text(encoding="utf-8") for part in PRODUCT for path in (ROOT / part).rglob("*.py"))

    assert [code for code in error_codes() if f'"{code}"' not in text] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('class Gone(Exception):\n    code = "is_gone"\n', ["is_gone"]),
        ('class Gone(Exception):\n    code: ClassVar[str] = "is_gone"\n', ["is_gone"]),
        ('raise Failed(message="it is gone", code="is_gone")', ["is_gone"]),
        ('raise Refused("is_gone", f"{1} is gone: do")', ["is_gone"]),
        ('def why():\n    yield ("here",), "is_gone", "it is gone: do"', ["is_gone"]),
        ('_WHY = "it is gone"\nraise Refused("is_gone", _WHY)', ["is_gone"]),
        ('queue.get("not_a_code", 5)', []),
    ],
)
def test_a_code_is_found_in_each_shape_in_which_the_source_says_it(source, found):
    assert list(written(ast.parse(source))) == found


def test_answers_have_a_status_and_nothing_else_has():
    of_answers = {row.code for row in codes_at(Place.ANSWER)}

    assert {row.code for row in error_codes().values() if row.status is not None} == of_answers
    assert [row.code for row in codes_at(Place.ANSWER) if not 400 <= status_of(row.code) < 600] == []


def test_each_error_of_the_sampler_fails_an_edit_or_is_its_caller_s():
    of_jobs_or_callers = {row.code for place in (Place.FAILURE, Place.LIBRARY) for row in codes_at(place)}

    assert {kind.code for kind in P2PError.__subclasses__()} <= of_jobs_or_callers


def test_rows_are_plain():
    """What is wrong and what to do stand in one message, `title: do`, and in one cell of a table each."""
    for row in error_codes().values():
        assert row.title
        assert row.do
        assert not re.search(r"\n|\||\.$", row.title + row.do), row
        assert ": " not in row.title, row


def test_the_document_is_made_from_the_table():
    text = DOCUMENT.read_text(encoding="utf-8")

    assert with_part(text, PART, document()) == text, "run `python -m tools.error_codes --write`"


@pytest.mark.parametrize("file", CLIENTS, ids=lambda file: file.name)
def test_the_clients_lists_are_made_from_the_table(file):
    assert file.read_text(encoding="utf-8") == CLIENTS[file](), "run `python -m tools.error_codes --write`"


def test_the_python_client_knows_every_code_that_it_may_meet():
    kinds = {Place.ANSWER: codes.AnswerCode, Place.FIELD: codes.FieldCode, Place.FAILURE: codes.FailureCode}

    assert {place: list(get_args(kind)) for place, kind in kinds.items()} == {
        place: [row.code for row in codes_at(place)] for place in kinds
    }


@pytest.mark.parametrize(
    ("schema", "field", "place"),
    [
        ("Problem", "code", Place.ANSWER),
        ("FieldProblem", "code", Place.FIELD),
        ("Notice", "code", Place.NOTICE),
        ("JobError", "code", Place.FAILURE),
        ("EndedError", "code", Place.FAILURE),
        ("Attempt", "error", Place.DELIVERY),
    ],
)
def test_the_description_of_the_api_lists_the_codes(schema, field, place):
    schemas = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))["components"]["schemas"]

    listed = schemas[schema]["properties"][field]["x-extensible-enum"]
    assert listed == [row.code for row in codes_at(place)]
