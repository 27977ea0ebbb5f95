"""Raw connections to a server: what comes on them."""

import json
import socket

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def rest(connection: socket.socket) -> bytes:
    """What comes until the other side closes; a connection that it has reset is closed as well."""
    received = b""
    try:
        while piece := connection.recv(65_536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def answer(connection: socket.socket) -> bytes:
    """One answer, whole; the connection goes on."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split()[1])
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def problem(received: bytes) -> tuple[int, str]:
    """Status and code of an answer that ends its connection."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    found = json.loads(body)
    assert found["title"].encode() in head.split(b"\r\n")[0]
    return int(head.split()[1]), found["code"]
