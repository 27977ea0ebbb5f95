"""Pictures by URL: fetched when the edit is posted, from public addresses, for so long and so much."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from picture_files.by_url import fetch_over
from process.addresses import GuardedTransport
from tests.patience import ANSWER
from tests.unit.service.test_images import file_of, halves, photo

PUBLIC = "93.184.215.14"


class Endless(httpx.AsyncByteStream):
    """A body without an end; a moment passes before each part of it."""

    def __init__(self, pause: float) -> None:
        self.pause, self.given = pause, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(self.pause)
            self.given += 10_000
            yield bytes(10_000)


@pytest.fixture
def asked() -> list[httpx.Request]:
    """What was asked for, after its address was checked."""
    return []


@pytest.fixture
def urls(parts, serve, asked):
    """A client of an API that takes URLs, of a world of one server."""

    def start(answer: httpx.Response, address: str = PUBLIC, seconds: float = ANSWER):
        def answered(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return answer

        async def resolve(host: str, port: int) -> list[str]:
            return [address]

        transport = GuardedTransport(resolve=resolve, transport=httpx.MockTransport(answered))
        images = replace(parts.plane.images, fetch=fetch_over(transport, seconds=seconds))
        parts.plane = replace(parts.plane, images=images)
        return serve()

    return start


def refused(client, url: str = "https://example.com/cat.png") -> str:
    """By which code the picture of a URL is refused."""
    response = client.post("/v1/edits", json=photo(url=url))
    (error,) = response.json()["errors"]
    assert (response.status_code, error["pointer"]) == (422, "/source/image/url")
    return error["code"]


def test_a_picture_is_fetched_when_its_edit_is_posted_and_kept_like_one_that_was_sent(urls, parts, asked):
    client = urls(httpx.Response(200, stream=httpx.ByteStream(file_of(halves()))))

    response = client.post("/v1/edits", json=photo(url="https://example.com/cat.png"))

    assert response.status_code == 202
    (job,), (image,) = parts.store.all(), parts.images.kept.values()
    assert (job.spec.source.image.upload, job.spec.source.image.url) == (image.id, None)
    assert (image.width, image.height) == (40, 30)
    (request,) = asked
    assert (request.url.host, request.headers["host"]) == (PUBLIC, "example.com")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "::ffff:10.0.0.7", "fd00::1"])
def test_a_name_that_leads_inside_is_not_called(urls, asked, address):
    assert refused(urls(httpx.Response(200), address)) == "no_public_address"
    assert asked == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1/cat.png", "private_address"),
        ("http://2130706433/", "private_address"),
        ("http://[::1]/", "private_address"),
        ("file:///etc/passwd", "url_scheme"),
        ("https://me:secret@example.com/", "url_credentials"),
        ("https://", "not_a_url"),
    ],
)
def test_what_is_no_public_url_is_refused_unasked(urls, asked, url, code):
    assert refused(urls(httpx.Response(200)), url) == code
    assert asked == []


@pytest.mark.parametrize("status", [204, 206, 401, 404, 500])
def test_nothing_but_a_file_is_taken(urls, asked, status):
    client = urls(httpx.Response(status, headers={"Location": "http://127.0.0.1/"}, content=file_of(halves())))

    assert refused(client) == "url_not_fetched"
    assert len(asked) == 1


def test_an_endless_file_is_read_no_further_than_the_limit(urls):
    body = Endless(0)

    assert refused(urls(httpx.Response(200, stream=body))) == "url_too_large"
    assert body.given <= 1_000_000 + 20_000  # the limit of these tests, and what was under way


def test_a_server_that_takes_its_time_is_not_waited_for(urls):
    assert refused(urls(httpx.Response(200, stream=Endless(0.2)), seconds=0.5)) == "url_timeout"


def test_a_file_that_is_no_picture_is_refused_at_its_url(urls, parts):
    assert refused(urls(httpx.Response(200, stream=httpx.ByteStream(b"<html>")))) == "not_an_image"
    assert parts.images.kept == {}


def test_a_packed_answer_is_not_unpacked(urls):
    """Its few bytes could be many; what was not asked for packed is no picture."""
    packed = gzip.compress(file_of(halves()))
    client = urls(httpx.Response(200, stream=httpx.ByteStream(packed), headers={"Content-Encoding": "gzip"}))

    assert refused(client) == "not_an_image"
