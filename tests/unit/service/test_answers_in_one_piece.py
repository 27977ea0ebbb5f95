"""The head of an answer goes with the first of its body, in one call of the system, where that is sure to follow."""

import h11
import pytest

from service.server.metered import Metered


def asked(method: str = "GET") -> Metered:
    """A connection whose request has been read."""
    connection = Metered()
    connection.receive_data(method.encode() + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    connection.allow(2)
    assert [type(connection.next_event()) for _ in range(2)] == [h11.Request, h11.EndOfMessage]
    return connection


def headed(length: int, name: str = "Content-Length") -> h11.Response:
    return h11.Response(status_code=200, headers=[(name, str(length))], reason="OK")


@pytest.mark.parametrize("name", ["content-length", "Content-Length"])
def test_a_head_waits_for_the_first_of_its_body(name):
    connection = asked()

    assert connection.send(headed(4, name)) == b""
    first, second = connection.send(h11.Data(data=b"ab")), connection.send(h11.Data(data=b"cd"))

    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert first.endswith(b"\r\nx-content-type-options: nosniff\r\n\r\nab")
    assert second == b"cd"


def test_a_head_alone_is_sent_where_no_body_may_follow():
    connection = asked("HEAD")  # uvicorn then sends an empty piece

    assert connection.send(headed(4)) == b""
    assert connection.send(h11.Data(data=b"")).endswith(b"\r\n\r\n")


def test_a_head_without_a_body_goes_with_the_end():
    connection = asked()

    assert connection.send(headed(0)) == b""
    assert connection.send(h11.EndOfMessage()).endswith(b"\r\n\r\n")


def test_the_head_of_a_stream_goes_at_once():
    """Its first event may come much later, and a client waits for the head to know that it is heard."""
    head = asked().send(h11.Response(status_code=200, headers=[]))

    assert head.endswith(b"\r\n\r\n")
