"""The playground's files as they are served."""

import json
import re

import pytest
from starlette.testclient import TestClient

from p2p.spec import EditSpec
from service.app import create_app
from service.http.pages import CONTENT_TYPES
from service.playground.routes import FOLDER
from service.settings import Settings

MODULES = sorted(FOLDER.glob("*.js"))


@pytest.fixture
def page(tmp_path):
    """A client of an API that reaches no Redis: the page needs none."""
    with TestClient(create_app(Settings(storage_url=str(tmp_path))), base_url="http://localhost") as client:
        yield client


def test_the_page_runs_its_own_scripts_alone(page):
    answer = page.get("/")

    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "<style" not in answer.text
    assert re.findall(r"<script(?![^>]* src=)", answer.text) == []
    assert re.findall(r"\s(?:style|on\w+)=", answer.text) == []
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_pictures_may_come_from_where_artifacts_lie(tmp_path):
    urls = {
        "s3+http://key:secret@storage:9000/bucket?public=https://files.example.com": "https://files.example.com",
        str(tmp_path): "https://edits.example.com",
    }
    for storage_url, origin in urls.items():
        settings = Settings(storage_url=storage_url, public_url="https://edits.example.com/")
        with TestClient(create_app(settings), base_url="http://localhost") as client:
            policy = client.get("/").headers["Content-Security-Policy"]
        assert f"img-src 'self' data: blob: {origin};" in policy


def test_what_a_browser_has_is_not_sent_again(page):
    first = page.get("/playground/main.js")
    again = page.get("/playground/main.js", headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert page.get("/playground/style.css").headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(
    "path", sorted(path for path in FOLDER.rglob("*") if path.is_file()), ids=lambda path: path.name
)
def test_every_file_is_served_as_what_it_is(page, path):
    answer = page.get(f"/playground/{path.relative_to(FOLDER).as_posix()}")

    assert answer.content == path.read_bytes()
    assert answer.headers["Content-Type"] == CONTENT_TYPES[path.suffix]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["nothing.js", "../app.py", "%2e%2e/app.py", ""])
def test_nothing_else_is_served(page, name):
    assert page.get(f"/playground/{name}").json()["code"] == "not_found"


def test_switched_off_nothing_is_there(tmp_path):
    with TestClient(
        create_app(Settings(storage_url=str(tmp_path), playground=False)), base_url="http://localhost"
    ) as client:
        for address in ("/", "/playground/main.js"):
            assert (client.get(address).status_code, client.get(address).json()["code"]) == (404, "not_found")
        assert client.get("/livez").status_code == 200


def test_it_is_no_part_of_the_description():
    paths = create_app(Settings()).openapi()["paths"]

    assert [path for path in paths if not path.startswith(("/v1/", "/livez", "/readyz"))] == []


@pytest.mark.parametrize("example", json.loads((FOLDER / "examples.json").read_text("utf-8")), ids=lambda e: e["name"])
def test_every_example_is_an_edit(example):
    EditSpec.model_validate(example["body"])

    assert (FOLDER / "examples" / f"{example['name']}.webp").is_file()
    assert "file" not in example or (FOLDER / "examples" / example["file"]).is_file()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_markup_is_never_made_of_text(module):
    """A prompt is anybody's text: what parses it as HTML would run it."""
    code = module.read_text(encoding="utf-8")

    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser", code)
        == []
    )


def test_every_module_is_reached_from_the_page():
    reached, left = set(), ["main.js"]
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            left += re.findall(r'from "\./([\w.]+)"', (FOLDER / name).read_text(encoding="utf-8"))

    assert {path.name for path in MODULES} == reached | {"theme.js"}
