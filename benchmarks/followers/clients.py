"""The followers of `benchmarks.followers`: plain sockets in one process, half waits and half event streams.

`python -m benchmarks.followers.clients FILE` says "connected" once the event streams have begun and the waits are sent,
and after the last end, as JSON: of each edit, the ids that each stream received and how many waits had the end.
"""

import asyncio
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.load import http

#: Connections that are opened at once: fewer than a server lets wait to be accepted.
AT_ONCE = 50
#: Seconds of a wait: the most that the service allows. One that is over before the end is asked again.
WAIT = 60
_ID = re.compile(rb"^id: (\d+-\d+)$", re.MULTILINE)


class Client(asyncio.Protocol):
    """A connection that sends one request and keeps what it receives."""

    def __init__(self, request: bytes) -> None:
        self.request, self.received = request, bytearray()
        loop = asyncio.get_running_loop()
        self.has_begun: asyncio.Future[None] = loop.create_future()
        self.is_over: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def connection_lost(self, error: Exception | None) -> None:
        """Whatever has come by then counts."""
        for future in (self.has_begun, self.is_over):
            if not future.done():
                future.set_result(None)


class Stream(Client):
    """Reads events until the server ends the stream."""

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.received += data
        if not self.has_begun.done() and b"event: queued" in self.received:
            self.has_begun.set_result(None)
        if self.received.endswith(b"\r\n0\r\n\r\n"):
            self.transport.close()

    def ids(self) -> Sequence[str]:
        """Of the events, in the order in which they came."""
        return [each.decode() for each in _ID.findall(self.received.replace(b"\r\n", b"\n"))]


class Wait(Client):
    """Asks until it is answered with the end."""

    has_end = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask; there is no sign that a wait has begun."""
        super().connection_made(transport)
        self.has_begun.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take an answer."""
        self.received += data
        head, separator, body = bytes(self.received).partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if not separator or length is None or len(body) < int(length[1]):
            return
        status = json.loads(body).get("status")
        self.has_end = head.startswith(b"HTTP/1.1 200") and status == "succeeded"
        if self.has_end or not head.startswith(b"HTTP/1.1 200"):
            self.transport.close()
        else:
            self.received.clear()
            self.transport.write(self.request)


async def follow(asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What each of the edits' followers received."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def connected(make: type[Client], edit: Mapping[str, str]) -> Client:
        path = f"/v1/edits/{edit['id']}" + ("/events" if make is Stream else f"?wait={WAIT}")
        request = http("GET", path, headers=[("Authorization", f"Bearer {edit['key']}")])
        async with gate:
            loop = asyncio.get_running_loop()
            _, client = await loop.create_connection(lambda: make(request), "127.0.0.1", asked["port"])
            await client.has_begun
        return client

    half = asked["followers"] // 2
    # Streams last: once they are answered, so are those that asked before them read.
    numbers = {Wait: asked["followers"] - half, Stream: half}
    clients: dict[type[Client], list[list[Any]]] = {}
    for make, number in numbers.items():
        clients[make] = [
            await asyncio.gather(*(connected(make, edit) for _ in range(number))) for edit in asked["edits"]
        ]
    print("connected", flush=True)
    everybody = [client for groups in clients.values() for group in groups for client in group]
    await asyncio.gather(*(client.is_over for client in everybody))
    return [
        {"streams": [stream.ids() for stream in streams], "ends": sum(wait.has_end for wait in waits)}
        for streams, waits in zip(clients[Stream], clients[Wait], strict=True)
    ]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(follow(json.loads(Path(sys.argv[1]).read_text())))))
