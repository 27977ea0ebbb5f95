"""What the README says is so."""

import json
import re
from collections import defaultdict

import pytest

from service.edits.requests import EditRequest
from tools.markdown import with_part
from tools.settings_table import PART, README, settings_table

TEXT = README.read_text(encoding="utf-8")


def test_the_settings_table_is_the_codes():
    assert with_part(TEXT, PART, settings_table()) == TEXT, "run `python -m tools.settings_table --write`"


@pytest.mark.parametrize("number", [0, 1])
def test_the_requests_are_accepted_by_the_schema(number):
    bodies = re.findall(r"-d '(\{.*?\})'", TEXT, re.DOTALL)
    assert len(bodies) == 2
    body = bodies[number].replace("img_...", "img_" + "0" * 32)  # the reader's own

    assert EditRequest.model_validate(json.loads(body)).model == "scenes"


def test_every_file_and_command_that_is_named_is_there():
    folder = README.parent
    named = re.findall(r"\]\((?!http)([^)#]+)\)|`([\w/]+\.(?:py|toml|yaml))`", TEXT)
    makefile = (folder / "Makefile").read_text()

    assert [name for pair in named for name in pair if name and not (folder / name).exists()] == []
    assert [name for name in re.findall(r"`?make (\w+)", TEXT) if f"\n{name}:" not in makefile] == []


def test_every_test_that_a_document_names_is_there():
    documents = [README, *sorted((README.parent / "docs").glob("*.md"))]
    tests: dict[str, str] = defaultdict(str)
    for path in (README.parent / "tests").rglob("test_*.py"):
        tests[path.name] += path.read_text(encoding="utf-8")  # some names are there twice, in different folders
    file = ""
    missing = []
    for document in documents:
        for named, test in re.findall(r"`(?:[\w/]*?(test_\w+\.py))?(?:::(test_\w+))?`", document.read_text("utf-8")):
            file = named or file
            if (named and named not in tests) or (test and f"def {test}(" not in tests.get(file, "")):
                missing.append(f"{document.name}: {file}::{test}")

    assert missing == []
