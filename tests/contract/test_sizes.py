"""Files and functions that a reader holds in mind: none grows beyond what CONTRIBUTING says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Product code: what is installed, served or trained, and not the tests or the benchmarks.
ROOMS = (
    "admin", "jobs", "layers", "outbox", "p2p", "p2p_client", "picture_files", "process", "prompts", "reaper", "router",
    "scenes", "service", "stack", "tools", "webhooks", "worker",
)  # fmt: skip
MOST_OF_A_FILE, MOST_OF_A_FUNCTION = 400, 60


def files(room: str) -> Iterator[tuple[str, str]]:
    for file in sorted((ROOT / room).rglob("*.py")):
        yield file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")


@pytest.mark.parametrize("room", ROOMS)
def test_no_file_of_product_code_is_longer(room):
    lengths = {name: len(text.splitlines()) for name, text in files(room)}

    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > MOST_OF_A_FILE} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_no_function_of_product_code_is_longer(room):
    lengths = {
        f"{name}:{part.name}": (part.end_lineno or 0) - part.lineno + 1
        for name, text in files(room)
        for part in ast.walk(ast.parse(text))
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: lines for name, lines in lengths.items() if lines > MOST_OF_A_FUNCTION} == {}


def test_every_room_of_python_is_looked_at():
    found = {folder.parent.name for folder in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}

    assert found == set(ROOMS)
