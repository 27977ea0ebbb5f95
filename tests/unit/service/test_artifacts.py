"""URLs of artifacts: they work for a while, for one key, and only as they were made."""

import asyncio
import stat
from datetime import timedelta
from urllib.parse import urlsplit

import obstore
import pytest
from PIL import Image

from jobs.errors import ArtifactNotFound
from jobs.storage import CONTENT_TYPES, PIECE, open_storage
from service.artifacts.signing import SECRET_FILE, artifact_secret
from tests.hostile import file_of

KEY = "jobs/j1/e1/source.png"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def url(parts) -> str:
    """The URL of an artifact that is there."""
    parts.storage.put(KEY, b"a picture", "image/png")
    return parts.plane.signer.url(KEY, MINUTE)


def test_a_signed_url_gives_the_artifact(client, url):
    response = client.get(url)

    assert (response.status_code, response.content) == (200, b"a picture")
    assert response.headers["x-content-type-options"] == "nosniff"


#: What a browser may run or follow when it is told so, or guesses.
HOSTILE = b"<!doctype html><svg xmlns='http://www.w3.org/2000/svg'><script>alert(document.domain)</script></svg>"

RUN = (
    ".html",
    ".htm",
    ".xhtml",
    ".svg",
    ".SVG",
    ".xml",
    ".js",
    ".mjs",
    ".pdf",
    ".mht",
    ".swf",
    ".PNG",
    ".png.html",
    "",
)


@pytest.mark.parametrize(
    ("name", "content_type", "disposition"),
    [
        ("source.png", "image/png", "inline"),
        ("edit-1.jpg", "image/jpeg", "inline"),
        ("edit-1.webp", "image/webp", "inline"),
        ("manifest.json", "application/json", "attachment"),
        ("maps.npz", "application/octet-stream", "attachment"),
        *((f"x{end}", "application/octet-stream", "attachment") for end in RUN),
    ],
)  # fmt: skip
def test_an_artifact_is_never_run_whatever_is_in_it(client, parts, name, content_type, disposition):
    key = f"jobs/j1/e1/{name}"
    parts.storage.put(key, HOSTILE, content_type)

    answer = client.get(parts.plane.signer.url(key, MINUTE))

    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"] == f'{disposition}; filename="{name}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_a_picture_that_was_sent_is_served_like_every_artifact(client):
    sent = client.post("/v1/images", files={"image": file_of(Image.new("RGB", (40, 30)), "PNG")}).json()

    answer = client.get(sent["url"])

    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"].startswith("inline; filename=")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_no_content_type_of_an_artifact_is_one_that_a_browser_runs():
    assert [
        kind for kind in CONTENT_TYPES.values() if any(word in kind for word in ("html", "svg", "xml", "script"))
    ] == []


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "image/jpeg", ""])
def test_nothing_is_stored_under_another_type_than_that_of_its_name(tmp_path, content_type):
    with pytest.raises(ValueError, match=r"by its end it is image/png"):
        open_storage(str(tmp_path)).put(KEY, b"a picture", content_type)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 10 * PIECE + 7])
def test_an_artifact_of_any_size_comes_whole(client, parts, size):
    data = bytes(number % 251 for number in range(size))
    parts.storage.put(KEY, data, "image/png")

    response = client.get(parts.plane.signer.url(KEY, MINUTE))

    assert response.content == data
    assert (response.headers["content-length"], response.headers["content-type"]) == (str(size), "image/png")
    head = client.head(parts.plane.signer.url(KEY, MINUTE))
    assert (head.headers["content-length"], head.content) == (str(size), b"")


def test_a_piece_is_read_when_the_one_before_it_was_taken(parts, monkeypatch):
    """So that a slow reader costs a piece, and not the artifact."""
    parts.storage.put(KEY, bytes(10 * PIECE), "image/png")
    read, whole = [], obstore.get_range_async

    async def noted(store, key, *, start, end):
        read.append(start)
        return await whole(store, key, start=start, end=end)

    monkeypatch.setattr("jobs.storage.obstore.get_range_async", noted)

    async def first_two() -> None:
        _, pieces = await parts.storage.opened(KEY)
        await anext(pieces)
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(first_two())
    assert read == [0, PIECE]


def test_a_signed_url_ends(client, url, parts):
    parts.clock.now += 61

    response = client.get(url)

    assert (response.status_code, response.json()["code"]) == (403, "link_refused")


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("source.png", "edit-1.png"),
        lambda url: url.replace("expires=1", "expires=2"),
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: url.split("?")[0],
        lambda url: url + "&expires=99999999999",
        lambda url: url.split("&signature=")[0] + "&signature=%C3%A9",
        lambda url: url.replace("expires=", "expires=x"),
        lambda url: url.replace("jobs/j1", "jobs/..%2fjobs/j1"),
        lambda url: url.replace("jobs/j1", "jobs/%2e%2e/jobs/j1"),
    ],
)
def test_a_url_that_was_changed_is_refused(client, url, change):
    response = client.get(change(url))

    assert (response.status_code, response.json()["code"]) == (403, "link_refused")


def test_a_genuine_url_of_something_gone_is_not_found(client, parts):
    response = client.get(parts.plane.signer.url("jobs/j1/e1/gone.png", MINUTE))

    assert (response.status_code, response.json()["code"]) == (404, "artifact_not_found")


@pytest.mark.parametrize(
    "key",
    [
        "../secret",
        "jobs/../secret",
        "jobs/a/../../secret",
        "/etc/passwd",
        "jobs/a//b",
        "jobs/a/.hidden",
        SECRET_FILE,
        "",
    ],
)
def test_a_key_that_leads_elsewhere_is_neither_signed_nor_stored(parts, key):
    with pytest.raises(ArtifactNotFound):
        parts.plane.signer.url(key, MINUTE)
    with pytest.raises(ArtifactNotFound):
        parts.storage.put(key, b"", "image/png")


def test_a_directory_is_a_storage(tmp_path):
    storage = open_storage((tmp_path / "artifacts").as_uri())

    storage.put(KEY, b"a picture", "image/png")

    assert (tmp_path / "artifacts" / KEY).read_bytes() == b"a picture"
    assert storage.presigned_url(KEY, MINUTE) is None


def test_a_bucket_signs_for_itself(monkeypatch):
    for name, value in (("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key"), ("AWS_REGION", "eu-west-1")):
        monkeypatch.setenv(name, value)

    url = urlsplit(open_storage("s3://bucket/prefix").presigned_url(KEY, MINUTE))

    assert url.path.endswith(f"prefix/{KEY}")
    assert "X-Amz-Expires=60" in url.query


def test_the_secret_is_made_once_and_kept_from_others(tmp_path):
    url = (tmp_path / "artifacts").as_uri()

    first, second = artifact_secret("", url), artifact_secret("", url)

    assert first == second
    assert len(first) == 64
    assert stat.S_IMODE((tmp_path / "artifacts" / SECRET_FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [SECRET_FILE]


def test_a_secret_that_was_set_is_taken(tmp_path):
    assert artifact_secret("mine", tmp_path.as_uri()) == "mine"
    assert list(tmp_path.iterdir()) == []
