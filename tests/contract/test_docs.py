"""What the documents show was made by a command, and what they tell to run, runs."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from picture_files.verification import FileCredentials, Verification
from service.edits.requests import EditRequest
from stack.demo import PHOTO

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]

#: What makes each picture, and in which document that stands.
PICTURES: Mapping[str, str] = {
    "docs/sheet.png": "make demo",
    "docs/scenes.png": "python -m scenes.grid",
    "docs/figures/sweep.png": "python -m benchmarks.sweep",
    "docs/figures/*.png": "python -m benchmarks.figures",
    "docs/cookbook/*.png": "python -m tools.cookbook",
    "docs/playground/*": "python -m tools.screenshots",
}


@pytest.fixture
def library(tmp_path, monkeypatch) -> None:
    """A folder in which the documents' Python finds what it names: the built-in model, a picture of a cat."""
    (tmp_path / "scenes").symlink_to(ROOT / "scenes")
    with Image.open(PHOTO) as photo:
        photo.crop((16, 0, 80, 64)).save(tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)


def blocks(document: Path, language: str, *words: str) -> list[str]:
    """The fenced blocks of a language that hold all of these words."""
    found = re.findall(rf"```{language}[^\n]*\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    return [block for block in found if all(word in block for word in words)]


def test_every_picture_is_shown_and_its_command_named():
    text = "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    pictures = [path for kind in ("png", "webp", "jpg") for path in (ROOT / "docs").rglob(f"*.{kind}")]
    named = [path for pattern in PICTURES for path in ROOT.glob(pattern)]

    assert [path for path in pictures if path not in named] == []
    assert [path for path in pictures if f"{path.relative_to(ROOT / 'docs')})" not in text] == []
    assert [command for command in PICTURES.values() if command not in text] == []


@pytest.mark.parametrize(
    ("document", "word"), [("docs/library.md", "from p2p.library import"), ("docs/inversion.md", "invert(picture")]
)
def test_the_library_is_used_as_it_is_shown(library, document, word):
    (code,) = blocks(ROOT / document, "python", word)
    names: dict = {}

    exec(compile(code, document, "exec"), names)

    pictures = names["edited"].images if "edited" in names else [names["source"], names["dog"]]
    assert {picture.size for picture in pictures} == {(64, 64)}


def test_the_hook_that_is_shown_refuses_what_it_says():
    (code,) = blocks(ROOT / "docs" / "settings.md", "python", "def judge")
    names: dict = {}
    exec(code, names)
    material = type("Material", (), {"picture": None, "prompts": ("a cat with a knife",)})

    assert names["judge"](material) == "no knives here"


def test_the_watermark_that_is_shown_marks_a_picture():
    (code,) = blocks(ROOT / "docs" / "marking.md", "python", "def mark")
    names: dict = {"my_watermark": type("Mark", (), {"embed": staticmethod(lambda picture, text: (picture, text))})}
    exec(code, names)

    assert names["mark"](type("Unmarked", (), {"picture": "p", "job_id": "j"})) == ("p", "j")


def test_a_verification_has_the_fields_that_are_shown():
    (shown,) = blocks(ROOT / "docs" / "marking.md", "json", "source_type")
    said = json.loads(shown)

    assert said.keys() == Verification.model_fields.keys()
    assert said["credentials"].keys() <= FileCredentials.model_fields.keys()


def test_the_edit_that_names_a_subject_is_taken():
    (shown,) = blocks(ROOT / "docs" / "data.md", "sh", "user-4711", "source")
    body = EditRequest.model_validate_json(shown.split("-d '")[1].rsplit("'", 1)[0])

    assert (body.subject, body.metadata) == ("user-4711", {"order": "77"})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_whatever_is_shown_to_be_run_is_run_by_a_test(document):
    """A document with code in it is read by a test; which of them, says its name in that test."""
    if re.search(r"^```(sh|python|json|typescript|yaml)", document.read_text(encoding="utf-8"), re.MULTILINE):
        tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
        assert document.name in tests
