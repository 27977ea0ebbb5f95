"""Every HTML page that the API serves: it runs its own scripts alone, and no other page can show it in a frame."""

import gzip
import re

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.http.pages import PACKED
from service.reference import FOLDER
from service.settings import Settings
from tests.unit.service.test_head import routes
from tools.swagger_ui import LICENCES, NOTICE, PAGE, integrity, summed

FILES = sorted(
    path.name.removesuffix(PACKED)
    for path in FOLDER.iterdir()
    if path.is_file() and path.suffix not in {".py", ".html"}
)


@pytest.fixture
def page(tmp_path):
    """A client of an API that reaches no Redis: no page needs one."""
    with TestClient(create_app(Settings(storage_url=str(tmp_path))), base_url="http://localhost") as client:
        yield client


def addresses() -> list[str]:
    """Every address without a parameter that answers GET, and each page under the name of its file."""
    found = {path for path, methods in routes(create_app(Settings())) if "GET" in methods and "{" not in path}
    return sorted(found - {"/readyz", "/metrics"} | {"/playground/index.html", "/nothing", "/docs/index.html"})


def test_there_are_two_pages(page):
    html = {path for path in addresses() if "html" in page.get(path).headers.get("Content-Type", "")}

    assert html == {"/", "/docs", "/redoc", "/playground/index.html"}


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/playground/index.html"])
def test_a_page_runs_its_own_scripts_alone_and_is_shown_in_no_frame(page, path):
    answer = page.get(path)

    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "<style" not in answer.text
    assert re.findall(r"<script(?![^>]* src=)", answer.text) == []
    assert re.findall(r"\s(?:style|on\w+)=", answer.text) == []
    assert re.findall(r"""(?:src|href|action)=["']?(?:[a-z]+:)?//""", answer.text) == []


def test_the_reference_names_the_hash_of_everything_that_it_runs():
    text = PAGE.read_text(encoding="utf-8")
    run = re.findall(r'<(?:script|link rel="stylesheet")[^>]*>', text)

    assert len(run) == 3
    assert all('integrity="sha384-' in each for each in run)
    assert summed(text) == text, "run `python -m tools.swagger_ui`"


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_reference_comes_packed_to_those_who_take_it_so(page, name):
    packed, plain = (page.get(f"/docs/{name}", headers={"Accept-Encoding": each}) for each in ("gzip, br", "gzip;q=0"))

    assert packed.content == plain.content
    assert "Content-Encoding" not in plain.headers
    assert ("Content-Encoding" in packed.headers) == (FOLDER / f"{name}{PACKED}").exists()
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"]
    assert packed.headers["X-Content-Type-Options"] == "nosniff"
    if "Content-Encoding" in packed.headers:
        assert packed.headers["ETag"] != plain.headers["ETag"]
        assert packed.headers["Vary"] == "Accept-Encoding"
    again = page.get(f"/docs/{name}", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name", ["__init__.py", "index.html", "swagger-ui.css.gz", "..%2fapp.py", "oauth2-redirect", ""]
)
def test_nothing_else_is_served_below_the_reference(page, name):
    assert page.get(f"/docs/{name}").status_code == 404


def test_swagger_ui_comes_with_its_version_and_its_licence():
    text = NOTICE.read_text(encoding="utf-8")

    assert re.match(r".*: from swagger-ui-dist \d+\.\d+\.\d+\n", text)
    assert "Apache License" in text
    assert "swagger-ui-dist" in text
    assert len(LICENCES) == 3


def test_the_reference_asks_nobody_else():
    """What Swagger UI would ask elsewhere by default: a validator of descriptions, and the package's own examples."""
    script = (FOLDER / "reference.js").read_text(encoding="utf-8")

    assert "validatorUrl: null" in script
    assert re.findall(r"https?://", re.sub(r"//.*", "", script)) == []


def test_an_integrity_is_that_of_the_unpacked_file():
    packed = FOLDER / "swagger-ui.css.gz"
    assert gzip.decompress(packed.read_bytes()).lstrip().startswith((b".swagger-ui", b"/*", b"@"))
    assert integrity(FOLDER / "swagger-ui.css").startswith("sha384-")


def test_the_description_is_written_once_however_often_it_is_asked_for(client, monkeypatch):
    first = client.get("/openapi.json")
    monkeypatch.setattr("service.http.described.JSONResponse", None)

    again = client.get("/openapi.json")

    assert again.content == first.content
    assert again.json()["openapi"].startswith("3.1")
    assert client.head("/openapi.json").status_code == 200
    assert client.post("/openapi.json").status_code == 405
