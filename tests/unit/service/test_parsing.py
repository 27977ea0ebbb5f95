"""What is cheap to send and dear to parse is refused, or parsed a little in each turn of the event loop."""

import json
import socket
from types import SimpleNamespace

import h11
import pytest

from layers.connections.bounds import AT_ONCE, BYTES_A_CHUNK, FREE_CHUNKS, MAX_PATH, SHARE, TAKEN_IN_A_TURN
from layers.connections.shares import Shares
from service.server.metered import Metered, Refused
from service.settings import Settings
from tests.connecting import GET, answer, problem, rest
from tests.patience import PATIENCE, eventually
from tests.serving import serving

CHUNKED = b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
POST, NOWHERE = b"POST /v1/edits" + CHUNKED, b"POST /v1/nothing" + CHUNKED
TINY, LAST = b"1\r\n \r\n", b"0\r\n\r\n"


def chunks(body: bytes, size: int) -> bytes:
    """A body in chunks of a size, and the last one."""
    pieces = [body[begin : begin + size] for begin in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + LAST


def parsed(*pieces: bytes) -> list[h11.Event]:
    """The events of what comes in some pieces, however many shares they take."""
    connection, events = Metered(), []
    for piece in pieces:
        connection.receive_data(piece)
        connection.allow(AT_ONCE)
        while (event := connection.next_event()) is not h11.PAUSED:
            if event is not h11.NEED_DATA:
                events.append(event)
            elif connection.is_stopped:
                connection.allow(SHARE)
            else:
                break
    return events


def refusal(*pieces: bytes) -> str:
    """The code by which they are refused."""
    with pytest.raises(Refused) as refused:
        parsed(*pieces)
    return refused.value.problem.code


@pytest.fixture
def parsing(monkeypatch):
    """What is parsed from here on: events in all, and the most in one turn of the event loop."""
    seen, turn = SimpleNamespace(events=[], most=0, requests=0), []
    parse, begin = Metered.next_event, Shares._turn

    def counted(self):
        event = parse(self)
        if event not in (h11.NEED_DATA, h11.PAUSED):
            turn.append(event)
            seen.events.append(event)
        return event

    def turned(self):
        seen.most = max(seen.most, len(turn))
        seen.requests = max(seen.requests, sum(isinstance(event, h11.Request) for event in turn))
        turn.clear()
        begin(self)

    monkeypatch.setattr(Metered, "next_event", counted)
    monkeypatch.setattr(Shares, "_turn", turned)
    return seen


@pytest.mark.parametrize("tiny", [TINY, b"1;a=b\r\n \r\n", b"0001\r\n \r\n", b"2\r\n\r\n\r\n"])
def test_a_body_of_very_many_tiny_chunks_is_refused(listening, tiny):
    assert problem(rest(listening().connect(POST + tiny * 50_000))) == (400, "too_many_chunks")


def test_tiny_chunks_that_come_one_by_one_are_counted_together():
    assert refusal(POST, *[TINY] * (FREE_CHUNKS + 20)) == "too_many_chunks"


def test_a_body_may_have_a_few_hundred_chunks_of_any_size(listening, edit):
    body = json.dumps(edit).encode()
    assert len(body) < FREE_CHUNKS

    assert b" 202 " in answer(listening().connect(POST + chunks(body, 1)))


def test_a_body_may_be_a_line_of_text_a_chunk(listening, edit):
    body = json.dumps(edit).encode() + b" " * 200_000

    assert b" 202 " in answer(listening().connect(POST + chunks(body, BYTES_A_CHUNK)))


def test_the_next_request_has_chunks_of_its_own(listening, edit):
    body = chunks(json.dumps(edit).encode(), 1)
    connection = listening().connect()

    for _ in range(4):
        connection.sendall(POST + body)
        assert b" 202 " in answer(connection)


@pytest.mark.parametrize("size", [1, 7, 1_000, 16_384])
def test_a_body_says_the_same_in_whatever_pieces_it_comes(size):
    body = b'{\n"a": "\r\n0\r\n\r\n"}\n' * 400
    sent = POST + chunks(body, 1_500) + GET

    events = parsed(*(sent[begin : begin + size] for begin in range(0, len(sent), size)))

    assert b"".join(event.data for event in events if isinstance(event, h11.Data)) == body
    assert isinstance(events[-1], h11.EndOfMessage)


@pytest.mark.parametrize("path", [b"/v1/nothing", b"/v1/images", b"/livez", b"/docs"])
def test_chunks_of_a_request_that_is_answered_are_not_parsed(listening, parsing, path):
    connection = listening().connect(NOWHERE.replace(b"/v1/nothing", path))

    received = answer(connection)
    assert b"connection: close" in received
    count = len(parsing.events)
    connection.sendall(TINY * 200_000)
    assert rest(connection) == b""
    assert len(parsing.events) == count


def test_who_sends_all_before_reading_gets_the_answer(listening, parsing):
    """Though it is there long before, and nothing of the rest is wanted."""
    connection = listening().connect(NOWHERE + b"1000\r\n" + b"x" * 4096 + b"\r\n")
    connection.sendall((b"1000\r\n" + b"x" * 4096 + b"\r\n") * 2_000)

    received = rest(connection)
    assert b" 404 " in received
    assert b"connection: close" in received
    assert len(parsing.events) < 1_000


@pytest.mark.parametrize(
    "sent",
    [
        POST + TINY * 400 + LAST,
        POST + TINY * 30_000,
        POST + chunks(b" " * 30_000, 64),
        NOWHERE + TINY * 30_000,
        b"GET /livez" + CHUNKED + TINY * 30_000,
        POST + LAST[:-2] + b"a:\r\n" * 900 + b"\r\n",
        GET * 300,
    ],
)
def test_however_many_send_it_little_is_parsed_in_a_turn(listening, parsing, sent):
    server = listening()
    connections = [server.connect() for _ in range(40)]
    for connection in connections:
        connection.sendall(sent[:60_000])

    assert b"200 OK" in answer(server.connect(GET))
    assert eventually(lambda: parsing.most)
    # One share, and what is parsed at once of a few pieces.
    assert parsing.most <= SHARE + TAKEN_IN_A_TURN * AT_ONCE
    assert parsing.requests <= TAKEN_IN_A_TURN + 1


def test_requests_that_came_together_are_answered_in_their_order(listening):
    connection = listening().connect(GET.replace(b"/livez", b"/none") + GET * 50 + GET.replace(b"/livez", b"/none"))

    received = b""
    while received.count(b"HTTP/1.1 ") < 52:
        received += connection.recv(65_536)
    statuses = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"404", *[b"200"] * 50, b"404"]


@pytest.mark.parametrize(
    "between", [b"1;" + b"a" * 9_000, b"0\r\n" + b"a:\r\n" * 4_000, b"0\r\n" + b"a: b\n" * 3_000, b"0" * 9_000]
)
@pytest.mark.parametrize("size", [100, 5_000, 16_384])
def test_what_is_long_between_chunks_is_refused(between, size):
    sent = POST + b"1\r\n{\r\n" + between
    assert refusal(*(sent[begin : begin + size] for begin in range(0, len(sent), size))) == "between_chunks_too_long"


def test_a_short_trailer_and_extensions_are_passed_over(listening, edit):
    body = json.dumps(edit).encode()
    sent = POST + b"%x;name=value\r\n%b\r\n0\r\nDigest: x\r\n\r\n" % (len(body), body)

    assert b" 202 " in answer(listening().connect(sent + GET))


def test_a_header_of_many_fields_is_not_parsed(listening, parsing):
    sent = GET[:-2] + b"a:\r\n" * 3_000 + b"\r\n"

    assert problem(rest(listening().connect(sent))) == (431, "too_many_headers")
    assert parsing.events == []


@pytest.mark.parametrize("body", [b"\n" * 15_000, b"\r\n" * 3_000, b"{\n}\n" * 20_000])
def test_lines_of_a_body_are_no_fields(listening, body):
    head = b"POST /v1/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

    assert b'"not_json"' in answer(listening().connect(head % len(body) + body))


@pytest.mark.parametrize("path", [b"/" + b"%" * MAX_PATH, b"/v1/edits/" + b"%41" * 3_000, b"//" + b"a" * 9_000 + b"?b"])
def test_a_long_path_is_refused(listening, path):
    sent = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert problem(rest(listening().connect(sent))) == (414, "path_too_long")


def test_a_long_query_is_not_a_path(listening):
    sent = GET.replace(b"/livez", b"/livez?" + b"a" * 4_000)
    assert b"200 OK" in answer(listening().connect(sent))


def test_who_is_not_read_from_waits_for_its_turn_alone(listening):
    """A connection whose requests take many turns delays no answer for ever: each of them comes."""
    server = listening()
    greedy = [server.connect(GET * 500) for _ in range(5)]
    for connection in greedy:
        received = b""
        while received.count(b'{"status":"alive"}') < 500:
            received += connection.recv(1_000_000)


def test_a_connection_that_ends_in_its_turn_is_forgotten():
    """By its client, while something of it is left to parse."""
    calls = []

    async def counting(scope, receive, send):
        calls.append(scope["path"])
        while (await receive())["type"] != "http.disconnect":
            pass

    with serving(counting, Settings()) as port:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
                connection.sendall(POST + TINY * 500)
        assert eventually(lambda: len(calls) == 20)
