"""Every wait for a client has an end, and what is no request is refused in the service's own form."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from types import SimpleNamespace

import pytest

from process.metrics import API, REGISTRIES
from tests.connecting import GET, answer, problem, rest
from tests.patience import eventually

#: A deadline that is over soon.
SOON = 0.3


@contextmanager
def dribbling(connection: socket.socket, *pieces: bytes) -> Iterator[None]:
    """Sends a piece after the other, now and then, from a thread, until the block is over or nobody takes it."""
    over = threading.Event()

    def send() -> None:
        try:
            for piece in cycle(pieces):
                if over.wait(SOON / 10):
                    return
                connection.sendall(piece)
        except OSError:
            pass

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        over.set()
        sending.join()


def test_a_header_that_is_dribbled_is_refused(listening):
    connection = listening(head_seconds=SOON).connect(b"GET /livez HTTP/1.1\r\n")

    with dribbling(connection, b"X: y\r\n"):
        assert problem(rest(connection)) == (408, "head_too_slow")


@pytest.mark.parametrize("begun", [b"G", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_header_that_has_begun_and_stalls_is_refused(listening, begun):
    assert problem(rest(listening(head_seconds=SOON).connect(begun))) == (408, "head_too_slow")


def test_a_client_that_says_nothing_is_told_nothing(listening):
    assert rest(listening(head_seconds=SOON).connect()) == b""


def test_a_connection_without_a_further_request_is_closed(listening):
    connection = listening(idle_seconds=SOON).connect(GET)

    assert b"200 OK" in answer(connection)
    assert rest(connection) == b""


def test_the_next_header_has_a_deadline_as_well(listening):
    connection = listening(head_seconds=SOON).connect(GET)
    answer(connection)

    with dribbling(connection, b"G"):
        assert problem(rest(connection)) == (408, "head_too_slow")


def test_several_requests_at_once_are_answered_and_what_follows_them_has_a_deadline(listening):
    connection = listening(head_seconds=SOON).connect(GET * 20 + GET[:30])

    received = rest(connection)

    assert received.count(b'{"status":"alive"}') == 20
    assert problem(received[received.rindex(b"HTTP/1.1 ") :]) == (408, "head_too_slow")


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for(listening, framing):
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n"
    connection = listening(head_seconds=SOON).connect(head)

    # Whole chunks and parts of some.
    with dribbling(connection, b"1\r\nx\r\n", b"1", b"\r", b"\nx\r\n"):
        received = rest(connection)
    assert b" 404 " in received


def test_a_client_that_sends_its_body_after_the_answer_goes_on(listening):
    body = b"x" * 300_000
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    connection = listening().connect(head)

    assert b" 404 " in answer(connection)
    connection.sendall(body + GET)
    assert b'{"status":"alive"}' in answer(connection)


def test_a_connection_that_went_on_after_such_a_body_has_its_deadline(listening):
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
    connection = listening(idle_seconds=SOON).connect(head)

    answer(connection)
    connection.sendall(b"rest")
    assert rest(connection) == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELO example.com\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX Y: z\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_as_a_problem(listening, sent):
    assert problem(rest(listening().connect(sent))) == (400, "bad_request")


@pytest.mark.parametrize(
    "long",
    [
        b"GET /" + b"a" * 200_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 40_000,
    ],
)
def test_a_long_header_is_refused_as_a_problem(listening, long):
    assert problem(rest(listening().connect(long))) == (431, "head_too_large")


def test_a_header_of_many_fields_is_refused_as_a_problem(listening):
    connection = listening().connect(GET[:-2] + b"X: a\r\n" * 1000 + b"\r\n")

    assert b'"too_many_headers"' in answer(connection)


@pytest.mark.parametrize("size", [b"zz\r\n", b"-1\r\n", b"1\r\nabc\r\n", b"1" * 100_000])
def test_chunks_that_are_none_end_the_connection(listening, size):
    head = (
        b"POST /v1/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
    )

    connection = listening(head_seconds=SOON).connect(head + size)

    received = rest(connection)
    # Not only the answer ends, but the connection, though the client does not close it.
    with dribbling(connection, b"x"):
        assert eventually(lambda: is_reset(connection))
    assert problem(received) in {(400, "bad_request"), (400, "between_chunks_too_long")}


def posted(server: SimpleNamespace, body: bytes) -> dict:
    """What is answered to an edit."""
    head = b"POST /v1/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return json.loads(answer(server.connect(head % len(body) + body)).partition(b"\r\n\r\n")[2])


def is_reset(connection: socket.socket) -> bool:
    """Whether nothing can be sent any more."""
    try:
        connection.sendall(b"x")
    except OSError:
        return True
    return False


def ended(code: str) -> float:
    return REGISTRIES[API].get_sample_value("p2p_connections_ended_total", {"code": code}) or 0.0


def test_one_that_waits_makes_room_for_another(listening):
    server, before = listening(connections=3), ended("made_room")
    silent, begun, idle = server.connect(), server.connect(b"GET"), server.connect(GET)
    answer(idle)

    further = server.connect(GET)

    assert b"200 OK" in answer(further)
    assert ended("made_room") == before + 1
    assert rest(silent) == b""
    # The two others were there after it.
    begun.sendall(GET[3:])
    assert b"200 OK" in answer(begun)


def test_many_silent_connections_keep_nobody_out(listening):
    server = listening(connections=10)
    for _ in range(100):
        server.connect()

    for _ in range(5):
        assert b"200 OK" in answer(server.connect(GET))


def test_where_every_connection_has_a_request_a_further_one_is_told_to_come_again(listening, edit):
    server, before = listening(connections=2), ended("too_many_connections")
    address = posted(server, json.dumps(edit).encode())["links"]["events"].encode()
    streams = [server.connect(b"GET " + address + b" HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(2)]
    for stream in streams:
        assert b"200 OK" in stream.recv(65_536)

    for number in range(3):
        received = rest(server.connect(GET))
        assert problem(received) == (503, "too_many_connections")
        assert b"retry-after: 5" in received
        assert ended("too_many_connections") == before + number + 1
    streams[0].close()

    def is_answered() -> bool:
        return b"200 OK" in rest(server.connect(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))

    assert eventually(is_answered)
    streams[1].close()


def test_a_large_body_comes_whole_in_its_pieces(listening):
    """Pieces are small so that others have their turn."""
    body = b" " * 250_000 + b"{"
    head = b"POST /v1/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

    received = answer(listening().connect(head % len(body) + body))

    assert json.loads(received.partition(b"\r\n\r\n")[2])["code"] == "not_json"
    assert b"column 250002" in received
