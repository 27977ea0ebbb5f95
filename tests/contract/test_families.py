"""What differs between model families is in their own files and rows: nothing else asks which one it has."""

import ast
from pathlib import Path

import pytest

from p2p.layouts import LAYOUTS
from tests.contract.test_sizes import ROOMS, files

#: Where families are told apart: their files, and what they handle.
OWN = ("p2p/families/", "p2p/layouts/")
ROOT = Path(__file__).parents[2]


def asked(tree: ast.AST) -> list[str]:
    """The names of families that code compares something with, has a table by, or imports the file of."""
    found: list[str] = []
    for part in ast.walk(tree):
        if isinstance(part, ast.Compare):
            found += [each for side in (part.left, *part.comparators) for each in _names(side)]
        elif isinstance(part, ast.MatchValue):
            found += _names(part.value)
        elif isinstance(part, ast.Dict):
            found += [each for key in part.keys if key is not None for each in _names(key)]
        elif isinstance(part, ast.ImportFrom):
            module = part.module or ""
            found += [name for name in LAYOUTS if module == f"p2p.families.{name}"]
    return found


def _names(part: ast.expr) -> list[str]:
    return [each.value for each in ast.walk(part) if isinstance(each, ast.Constant) and each.value in LAYOUTS]


@pytest.mark.parametrize("room", ROOMS)
def test_no_branch_on_a_family_is_outside_of_the_families(room):
    found = {name: asked(ast.parse(text)) for name, text in files(room) if not name.startswith(OWN)}

    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "line",
    [
        'if family == "unclip": pass',
        'if model.family in ("amused", "unclip"): pass',
        'match family:\n    case "deepfloyd_if": pass',
        'ROWS = {"stable_diffusion": 1}',
        "from p2p.families.amused import Amused",
    ],
)
def test_a_branch_on_a_family_is_seen(line):
    assert asked(ast.parse(line))


def test_every_family_has_a_section_in_the_documents():
    text = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")

    assert [name for name in LAYOUTS if f"(`{name}`)\n" not in text] == []
