"""What the README and the documents that go on from it say is so."""

import json
import re
from collections import defaultdict

import pytest

from service.edits.requests import EditRequest
from tools.markdown import with_part
from tools.settings_table import DOCUMENT, PART, settings_table

ROOT = DOCUMENT.parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_settings_table_is_the_codes():
    text = DOCUMENT.read_text(encoding="utf-8")

    assert with_part(text, PART, settings_table()) == text, "run `python -m tools.settings_table --write`"


@pytest.mark.parametrize("document", ["README.md", "docs/requests.md"])
def test_the_request_is_accepted_by_the_schema(document):
    (body,) = re.findall(r"-d '(\{.*?\})'", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)
    body = body.replace("img_...", "img_" + "0" * 32)  # the reader's own

    assert EditRequest.model_validate(json.loads(body)).model is None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_and_command_that_is_named_is_there(document):
    text, makefile = document.read_text(encoding="utf-8"), (ROOT / "Makefile").read_text()
    links = re.findall(r"\]\((?!http)([^)#]+)", text)
    tops = "|".join(path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file())
    files = re.findall(rf"`((?:{tops}|tests|docs|deploy|clients)/[\w./]+\.(?:py|toml|yaml|js|json|lua))`", text)

    assert [link for link in links if not (document.parent / link).exists()] == []
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert [name for name in re.findall(r"`make ([\w-]+)", text) if f"\n{name}:" not in makefile] == []


def test_every_test_that_a_document_names_is_there():
    documents = DOCUMENTS
    tests: dict[str, str] = defaultdict(str)
    for path in (ROOT / "tests").rglob("test_*.py"):
        tests[path.name] += path.read_text(encoding="utf-8")  # some names are there twice, in different folders
    file = ""
    missing = []
    for document in documents:
        for named, test in re.findall(r"`(?:[\w/]*?(test_\w+\.py))?(?:::(test_\w+))?`", document.read_text("utf-8")):
            file = named or file
            if (named and named not in tests) or (test and f"def {test}(" not in tests.get(file, "")):
                missing.append(f"{document.name}: {file}::{test}")

    assert missing == []
