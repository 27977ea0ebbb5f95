"""No client keeps others out by what it does not send or read: who has done nothing for longest goes first."""

import asyncio
import gc
import json
import weakref
from functools import partial

import pytest

from layers.connections.bounds import MOST_ENDED
from layers.connections.unread import Unread
from layers.connections.waiting import Waiting
from process.metrics import API, REGISTRIES
from service.server import listening as starting
from service.server.connection import BoundedConnection
from tests.connecting import GET, answer, problem, rest
from tests.patience import eventually

HEAD = b"POST /v1/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
SLOW = [HEAD + b"\r\n", HEAD + b"\r\n{", HEAD + b"Expect: 100-continue\r\n\r\n"]
FILE = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = 10_000_000


def ended(code: str) -> float:
    return REGISTRIES[API].get_sample_value("p2p_connections_ended_total", {"code": code}) or 0.0


class Answering:
    """An application whose answers are large, and are sent whole; it reads a body when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_read = asyncio.Event()

    async def __call__(self, scope, receive, send):
        self.begun.append(scope["path"])
        if scope["method"] == "POST":
            await self.may_read.wait()
        body = b"x" * LARGE if scope["path"] == "/large" else b"small"
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})


def read(connection, count: int) -> int:
    """Reads so many bytes; how many came."""
    came = 0
    while came < count and (piece := connection.recv(min(65_536, count - came))):
        came += len(piece)
    return came


@pytest.mark.parametrize("slow", SLOW)
def test_bodies_that_do_not_come_keep_nobody_out(listening, slow):
    server, before = listening(connections=3), ended("made_room")
    waiting = [server.connect(slow) for _ in range(3)]
    for _ in range(5):
        assert b"200 OK" in answer(server.connect(GET))
    assert ended("made_room") >= before + 3
    received = rest(waiting[0]).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert received == b"" or problem(received) == (503, "too_many_connections")


def test_who_sent_something_last_keeps_its_place(listening, monkeypatch):
    made = []
    monkeypatch.setattr(starting, "Waiting", lambda **seconds: made.append(Waiting(**seconds)) or made[-1])
    server = listening(connections=2)
    first = server.connect(HEAD + b"\r\n")
    assert eventually(lambda: len(made[0].body) == 1)
    second = server.connect(HEAD + b"\r\n")
    assert eventually(lambda: len(made[0].body) == 2)
    its_place = next(iter(made[0].body))
    first.sendall(b"{")
    assert eventually(lambda: list(made[0].body)[-1] is its_place)

    assert b"200 OK" in answer(server.connect(GET))
    assert problem(rest(second)) == (503, "too_many_connections")
    first.sendall(b"}")
    assert b" 422 " in answer(first)


def test_who_is_not_read_from_waits_for_the_service_and_keeps_its_place(listening):
    app = Answering()
    server, before = listening(app, connections=2), ended("too_many_connections")
    head = b"POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"
    sending = [server.connect(head + b"x" * 200_000) for _ in range(2)]
    assert eventually(lambda: len(app.begun) == 2)

    # More than is read before the application wants any: once it is there, nothing is read any more.
    assert eventually(lambda: problem_of(server) == (503, "too_many_connections"))
    assert ended("too_many_connections") > before
    app.may_read.set()
    for connection in sending:
        connection.close()


def problem_of(server) -> tuple[int, str]:
    received = rest(server.connect(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
    return problem(received) if b" 503 " in received[:20] else (200, "")


def test_who_reads_no_answer_keeps_nobody_out(listening):
    server, before = listening(Answering(), connections=2), ended("made_room")
    deaf = [server.connect(FILE, window=65_536) for _ in range(2)]
    for connection in deaf:
        assert read(connection, 100) == 100

    assert b"200 OK" in answer(server.connect(GET))
    assert ended("made_room") == before + 1
    # The first was sent away, and what it has not read is gone.
    assert len(rest(deaf[0])) < LARGE
    assert read(deaf[1], LARGE - 100) == LARGE - 100


def test_who_reads_keeps_its_place_and_who_does_not_goes(listening):
    server = listening(Answering(), connections=2)
    reading, deaf = (server.connect(FILE, window=65_536) for _ in range(2))
    assert read(deaf, 100) == 100
    # More than the systems of both sides hold between them: so the server has seen that it reads.
    assert read(reading, LARGE * 3 // 4) == LARGE * 3 // 4

    assert b"200 OK" in answer(server.connect(GET))
    assert len(rest(deaf)) < LARGE
    assert read(reading, LARGE // 4) == LARGE // 4


def test_unread_answers_are_bounded_together(listening, monkeypatch):
    made = []

    def bounded(waiting):
        made.append(Unread(waiting, LARGE * 3))
        return made[-1]

    monkeypatch.setattr(starting, "Unread", bounded)
    server, before = listening(Answering()), ended("answer_not_read")
    deaf = [server.connect(FILE, window=65_536) for _ in range(12)]

    assert eventually(lambda: ended("answer_not_read") > before + 6)
    assert eventually(lambda: 0 < made[0].total <= LARGE * 3)
    assert b"200 OK" in answer(server.connect(GET))
    for connection in deaf:
        connection.close()
    assert eventually(lambda: made[0].total == 0)


def test_a_request_begins_once_the_last_answer_was_read(listening):
    app = Answering()
    server = listening(app)
    deaf = server.connect(FILE + FILE + GET, window=65_536)
    assert read(deaf, 100) == 100

    for _ in range(20):
        assert b"200 OK" in answer(server.connect(GET))
    assert app.begun.count("/large") == 1

    received = 100 + read(deaf, LARGE * 2)
    assert received > LARGE * 2
    assert app.begun.count("/large") == 2
    while b"small" not in deaf.recv(65_536):
        pass


def test_the_answers_of_the_service_are_sent_in_pieces(listening, monkeypatch):
    """So that one client that reads nothing holds 64 KiB, where the page's largest file has 1.4 MB."""
    made = []
    monkeypatch.setattr(starting, "Unread", lambda waiting: made.append(Unread(waiting)) or made[-1])
    server = listening()
    bundle = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    deaf = [server.connect(bundle * 50, window=65_536) for _ in range(5)]

    assert eventually(lambda: made[0].total)
    assert b"200 OK" in answer(server.connect(GET))
    assert made[0].total <= 66_000 * len(deaf)


@pytest.mark.parametrize(
    "sent", [b"HELO\r\n\r\n", b"POST /none HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"]
)
def test_who_was_refused_and_stays_holds_no_place_and_few_files(listening, sent):
    server = listening(connections=MOST_ENDED * 4)
    refused = [server.connect(sent) for _ in range(MOST_ENDED + 100)]

    # The first ones are closed, though their clients do not close them.
    for connection in refused[:50]:
        assert rest(connection)[:9] == b"HTTP/1.1 "
        assert eventually(partial(is_closed, connection))
    assert b"200 OK" in answer(server.connect(GET))


def is_closed(connection) -> bool:
    try:
        connection.sendall(b"x")
    except OSError:
        return True
    return False


def test_who_is_sent_away_within_its_body_is_told_to_come_again(listening, monkeypatch):
    made = []
    monkeypatch.setattr(starting, "Waiting", lambda **seconds: made.append(Waiting(**seconds)) or made[-1])
    server = listening(connections=1)
    waiting = server.connect(HEAD + b"\r\n{")
    assert eventually(lambda: made[0].body)

    assert b"200 OK" in answer(server.connect(GET))
    received = rest(waiting)
    assert json.loads(received.partition(b"\r\n\r\n")[2])["code"] == "too_many_connections"
    assert b"retry-after: 5" in received


@pytest.mark.parametrize("sent", [b"", b"GET", GET, b"HELO\r\n\r\n", HEAD + b"\r\n{", FILE])
def test_a_connection_that_is_over_is_free_at_once(listening, monkeypatch, sent):
    """By its reference count: garbage is hardly ever looked for."""
    made = weakref.WeakSet()
    make = BoundedConnection.connection_made
    monkeypatch.setattr(BoundedConnection, "connection_made", lambda self, way: (made.add(self), make(self, way))[1])
    server = listening()
    gc.disable()
    try:
        for _ in range(30):
            connection = server.connect(sent)
            if sent in (GET, FILE):
                connection.recv(100)
            connection.close()
        # One may stand in a frame of the loop.
        assert eventually(lambda: len(made) <= 1)
    finally:
        gc.enable()
