"""A body is waited for as long as it comes at a pace; what is read of it is let go where it stalls."""

import asyncio
import tempfile
from contextlib import suppress

import pytest

from layers.body_errors import BodyTooSlow
from layers.body_pace import BodyPace
from service.http.bodies import MAX_PARTS
from tests.unit.service.raw_requests import Answered, request

HOST = (b"host", b"api.test")
FORM = (b"content-type", b"multipart/form-data; boundary=x")
PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'


def asked(client, method: str, path: str, headers: list[tuple[bytes, bytes]], pieces: list[bytes]) -> Answered:
    """The answer to a client whose body stalls after some pieces."""
    return request(client, method, path, [HOST, *headers], pieces)


@pytest.mark.parametrize(
    ("method", "path", "headers", "pieces"),
    [
        ("POST", "/v1/edits", [(b"content-type", b"application/json")], [b'{"source"']),
        ("POST", "/v1/edits", [(b"content-type", b"application/json; charset=utf-8")], []),
        ("PUT", "/v1/edits/mine", [], [b"{", b" "]),
        ("POST", "/v1/batches", [(b"content-type", b"application/json")], [b"{"]),
        ("POST", "/v1/images", [FORM], [PART + b"P"]),
        ("POST", "/v1/images", [FORM], [PART, b"x" * 2_000_000]),
        ("POST", "/v1/images", [FORM], []),
    ],
)
def test_a_body_that_stalls_is_answered_and_the_connection_ends(serve, method, path, headers, pieces):
    sent = asked(serve(body_seconds=0.05, min_rate=10**9), method, path, headers, pieces)

    assert (sent.status, sent.problem["code"]) == (408, "body_too_slow")
    assert (b"connection", b"close") in sent.headers


def test_the_files_of_a_form_that_stalls_are_closed(serve, monkeypatch):
    opened = []

    class Noted(tempfile.SpooledTemporaryFile):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            opened.append(self)

    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", Noted)

    asked(serve(body_seconds=0.05, min_rate=10**9), "POST", "/v1/images", [FORM], [PART, b"x" * 2_000_000])

    assert [file.closed for file in opened] == [True]


def paced(pieces: int, *, seconds: float, rate: float, busy: float = 0) -> int:
    """How many pieces of 1,000 bytes are read of so many, where the clock stands still but for what is said here.

    Each piece makes the reader wait for a second, and the service is busy for a while after it.
    """
    now, count = 0.0, 0

    class Passing:
        """As `asyncio.timeout`, over the clock of this test."""

        def __init__(self, left: float) -> None:
            self._end = now + left

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            if now > self._end:
                raise TimeoutError

    async def receive():
        nonlocal now
        await asyncio.sleep(0)
        now += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    async def app(scope, receive, send):
        nonlocal now, count
        while count < pieces:
            await receive()
            count += 1
            now += busy

    async def send(_):
        raise AssertionError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("layers.body_pace.asyncio.timeout", Passing)
        patched.setattr("layers.body_pace.perf_counter", lambda: now)
        with suppress(BodyTooSlow):
            asyncio.run(BodyPace(app, seconds=seconds, rate=rate)({"type": "http", "method": "POST"}, receive, send))
    return count


def test_a_slow_line_has_its_time():
    """20 MB at 1 kB/s take more than five hours, which is the slowest that is waited for."""
    assert paced(20_000, seconds=30, rate=1000) == 20_000


def test_a_line_that_is_slower_has_not():
    """Half the pace: the 60th piece comes after 60 s, where 59.5 are allowed."""
    assert paced(20_000, seconds=30, rate=2000) == 59


def test_what_the_service_takes_itself_is_not_counted():
    assert paced(1000, seconds=30, rate=1000, busy=100) == 1000


def test_a_form_of_many_parts_is_refused(client):
    many = [("image", (f"{number}.png", b"x")) for number in range(MAX_PARTS + 1)]
    fields = {f"field-{number}": "x" for number in range(MAX_PARTS + 1)}

    for answer in (
        client.post("/v1/images", files=many),
        client.post("/v1/images", files={"image": b"x"}, data=fields),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "too_many_parts")


def test_a_part_with_many_or_long_headers_is_no_form(client):
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
    for further in (b"X-A: b\r\n" * 1000, b"X-A: " + b"b" * 1_000_000 + b"\r\n"):
        body = head + further + b"\r\nx\r\n--x--\r\n"
        answer = client.post("/v1/images", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
        assert (answer.status_code, answer.json()["code"]) == (400, "not_multipart")


def test_who_waits_is_answered_though_a_body_that_nobody_reads_stalls(serve, edit):
    client = serve(body_seconds=0.05, min_rate=10**9)
    job = client.post("/v1/edits", json=edit).json()

    sent = asked(client, "GET", f"{job['links']['self']}?wait=1", [(b"content-length", b"10")], [b"x"])

    assert sent.status == 200
