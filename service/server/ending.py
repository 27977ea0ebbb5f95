"""How a connection ends that is ended by the service."""

import asyncio
import socket
import struct

from service.http.errors import phrase_of, problem_of


def refusal(error: Exception) -> tuple[bytes, str]:
    """An answer in place of the application's, which ends the connection; and its code."""
    response, code = problem_of(error)
    head = [f"HTTP/1.1 {response.status_code} {phrase_of(response.status_code)}"]
    head += ["connection: close", "x-content-type-options: nosniff"]
    head += [f"{name.decode()}: {value.decode()}" for name, value in response.raw_headers if name != b"connection"]
    return "\r\n".join([*head, "", ""]).encode() + bytes(response.body), code


def forget_unsent(transport: asyncio.Transport) -> None:
    """Have the system throw away what it has yet to send, once the connection is closed."""
    if (connected := transport.get_extra_info("socket")) is not None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
