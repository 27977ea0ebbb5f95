"""The API below a path that a proxy takes off: every address that it gives has that path."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from PIL import Image
from pydantic import ValidationError
from starlette.testclient import TestClient

from jobs import moves
from jobs.model import Artifact
from layers.prefixed import OWN, path_of
from outbox.settings import OutboxSettings
from service.app import create_app
from service.artifacts.signing import UrlSigner
from service.settings import Settings
from tests.hostile import file_of
from tests.unit.service.conftest import BASE_URL
from tests.unit.service.test_head import routes
from webhooks.messages import message_about

PREFIX = "/edits-api"
PNG = file_of(Image.new("RGB", (40, 30)), "PNG")


@pytest.fixture
def below(serve, parts) -> Callable[[str], TestClient]:
    """Makes an API below a prefix: what is sent to it is what the proxy hands on."""

    def made(prefix: str = PREFIX) -> TestClient:
        signer = UrlSigner("a secret", f"{BASE_URL}{prefix}", clock=lambda: parts.clock.now)
        parts.plane = replace(parts.plane, prefix=Settings(public_url=f"{BASE_URL}{prefix}").prefix, signer=signer)
        return serve(public_url=f"{BASE_URL}{prefix}")

    return made


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings(each)
    elif isinstance(value, str):
        yield value


def addresses_in(answer) -> list[str]:
    """Every address that an answer gives, in its headers and its body."""
    found = [*answer.headers.values(), *(strings(answer.json()) if answer.content else ())]
    paths = [urlsplit(text).path if text.startswith(BASE_URL) else text for text in found]
    return [path for path in paths if re.match(r"/(\S*/)?v1/", path)]


@pytest.mark.parametrize(
    "prefix", [PREFIX, "/a/b/c", "/v1", "/v1/edits", "/docs", "/with%20space", "/b%C3%BCro", "/x+y~z"]
)
def test_every_address_in_every_answer_has_the_prefix_and_leads_there(below, edit, parts, prefix):
    client = below(prefix)
    answers = [client.post("/v1/edits", json=edit), client.put("/v1/edits/mine", json=edit)]
    answers.append(client.post("/v1/edits", json=edit, headers={"Content-Type": "application/json; charset=utf-8"}))
    job = parts.store.make(moves.begin(parts.store.get(answers[0].json()["id"]), "e1", parts.plane.job_lifetime))
    key = f"jobs/{job.id}/e1/source.png"
    parts.storage.put(key, PNG, "image/png")
    picture = Artifact(name="source.png", kind="image", key=key, content_type="image/png", bytes=len(PNG), picture=0)
    parts.store.make(moves.finish(job, (picture,)))
    answers.append(client.get(f"/v1/edits/{job.id}"))
    answers.append(client.get(f"/v1/edits/{job.id}", params={"wait": 0}))
    answers.append(client.get("/v1/edits"))
    answers.append(client.post("/v1/batches", json={"edits": [edit, edit]}))
    answers.append(client.get(f"/v1/batches/{answers[-1].json()['id']}"))
    answers.append(client.post(f"/v1/batches/{answers[-1].json()['id']}/cancel"))
    image = client.post("/v1/images", files={"image": PNG})
    answers += [image, client.get(f"/v1/images/{image.json()['id']}"), client.get("/v1/images")]
    photo = {"model": "tiny", "source": {"prompt": "a cat", "image": {"upload": image.json()["id"]}}}
    answers.append(client.post("/v1/inversions", json=photo))
    answers.append(client.post(f"/v1/edits/{answers[-1].json()['id']}/cancel"))
    answers.append(client.post("/v1/edits/mine/cancel"))

    for answer in answers:
        assert answer.is_success, answer.text
        found = addresses_in(answer)
        assert found, "an answer without an address"
        assert [address for address in found if not address.startswith(f"{prefix}/v1/")] == []
    for link in {text for answer in answers for text in strings(answer.json()) if text.startswith((prefix, BASE_URL))}:
        # What a proxy makes of it.
        url = urlsplit(link)
        target = url.path.removeprefix(prefix) + (f"?{url.query}" if url.query else "")
        assert client.head(target).status_code in (200, 405), link


def test_a_problem_is_an_instance_of_what_the_client_asked_for(below):
    assert below().get("/v1/edits/nobody").json()["instance"] == f"{PREFIX}/v1/edits/nobody"


def test_the_description_names_the_server(below, client):
    document = below().get("/openapi.json").json()

    assert document["servers"] == [{"url": f"{BASE_URL}{PREFIX}"}]
    assert all(path.startswith(("/v1/", "/livez", "/readyz")) for path in document["paths"])
    assert "servers" not in client.get("/openapi.json").json()


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_reference_names_no_address_that_begins_at_the_root(below, page):
    """So it finds its files and the description below any path."""
    text = below().get(page).text

    assert re.findall(r'(?:src|href)="(?!docs/|openapi\.json")', text) == []
    assert below().get("/redoc", follow_redirects=False).headers["Location"] == "docs"


def test_the_page_names_nothing_outside_of_the_prefix(below):
    client = below()
    page = client.get("/")
    links = re.findall(r'(?:href|src)="(/[^"]*)"', page.text)

    assert len(links) > 5
    for link in links:
        assert link.startswith(f"{PREFIX}/")
        assert client.get(link.removeprefix(PREFIX)).status_code == 200


def test_no_script_or_style_of_the_page_names_an_address_that_begins_at_the_root():
    from service.playground.routes import FOLDER

    for path in [*FOLDER.glob("*.js"), *FOLDER.glob("*.css")]:
        assert not re.search(r"""["'`(]/(v1|playground|docs)\b""", path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/", f"{PREFIX}/livez", f"{PREFIX}/v1/edits", f"{PREFIX}/docs"])
def test_an_address_that_still_has_its_prefix_is_found_too(below, path):
    """So that links work where nobody stands in front."""
    assert below().get(path).status_code == 200


def test_the_fast_ways_are_taken_with_and_without_the_prefix(below, edit, monkeypatch):
    client = below()
    # FastAPI's own ways would be slower, and are not to be asked.
    monkeypatch.setattr("service.edits.routes.fetch_edit", None)
    for before in ("", PREFIX):
        accepted = client.post(f"{before}/v1/edits", json=edit)
        assert accepted.status_code == 202
        assert client.get(f"{before}{accepted.json()['links']['self'].removeprefix(PREFIX)}").status_code == 200


@pytest.mark.parametrize("path", ["/edits-apiv1/edits", "/edits-api-2/livez", "/other/v1/edits"])
def test_what_only_looks_like_the_prefix_is_not_taken_for_it(below, path):
    assert below().get(path).status_code == 404


def test_the_body_limit_of_pictures_holds_below_a_prefix(below):
    client = below()
    large = file_of(Image.effect_noise((700, 700), 90).convert("RGB"), "PNG")

    assert len(large) > Settings().max_body_bytes
    assert client.post("/v1/images", files={"image": large}).status_code == 201


def test_a_webhooks_links_have_the_prefix(below, edit, parts):
    job = parts.store.make(moves.cancel(parts.store.get(below().post("/v1/edits", json=edit).json()["id"])))
    prefix = OutboxSettings(public_url="https://example.com/edits-api/").prefix

    assert json.loads(message_about(job, prefix=prefix).body)["data"]["links"]["self"] == f"{PREFIX}/v1/edits/{job.id}"


def test_what_is_known_of_our_own_addresses_is_all_of_them():
    """A prefix that begins as one of them does cannot be told from it."""
    assert {path.split("/")[1] for path, _ in routes(create_app(Settings()))} - {""} <= OWN


@pytest.mark.parametrize(
    ("given", "base", "prefix"),
    [
        ("", "http://127.0.0.1:8000", ""),
        ("https://example.com", "https://example.com", ""),
        ("https://example.com/", "https://example.com", ""),
        ("HTTPS://Example.com:8443/a/b/", "HTTPS://Example.com:8443/a/b", "/a/b"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x", "/x"),
    ],
)
def test_a_public_url_is_read(given, base, prefix):
    settings = Settings(public_url=given)

    assert (settings.base_url, settings.prefix) == (base, prefix)


@pytest.mark.parametrize(
    "given",
    [
        "example.com", "/edits-api", "ftp://example.com", "https://", "https://a:b@example.com", "https://example.com?x=1",
        "https://example.com/#x", "https://example.com/a//b", "https://example.com/a/../b", "https://example.com/a b",
        'https://example.com/"><script>', "https://example.com/büro",
        "https://example.com/%zz", "https://example.com/a%2", "https://example.com/%",
    ],
)  # fmt: skip
def test_a_public_url_that_is_none_is_refused_at_the_start(given):
    with pytest.raises(ValidationError, match=r"https://example\.com/edits-api"):
        Settings(public_url=given)


def test_a_request_without_a_prefix_is_left_as_it_is():
    assert path_of({"path": "/v1/edits"}) == "/v1/edits"
