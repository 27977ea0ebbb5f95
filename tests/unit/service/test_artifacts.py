"""URLs of artifacts: they work for a while, for one key, and only as they were made."""

import asyncio
import stat
from datetime import timedelta
from urllib.parse import urlsplit

import obstore
import pytest

from jobs.errors import ArtifactNotFound
from jobs.storage import PIECE, open_storage
from service.artifacts.signing import SECRET_FILE, artifact_secret

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
