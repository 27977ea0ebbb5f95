"""Requests as fast as a server answers them, or at a rate of one's own; plain sockets, so that the client is no part of
what is measured."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from statistics import quantiles

CONNECTIONS = 32
#: Makes one request, whole, as it goes over the wire.
MakeRequest = Callable[[], bytes]


class Connection:
    """One kept-alive HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes, expected: int) -> int:
        """Send a request, read its answer; gives the size of its body.

        Raises:
            ValueError: it answered with another status.
        """
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        marker = head.lower().index(b"content-length: ") + 16
        length = int(head[marker : head.index(b"\r", marker)])
        body = await self._reader.readexactly(length)
        if status != expected:
            raise ValueError(f"{status} in place of {expected}: {body[:300]!r}")
        return length

    def close(self) -> None:
        self._writer.close()


async def connected(port: int, count: int = CONNECTIONS) -> list[Connection]:
    """So many connections to a port of this machine."""
    return [Connection(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(count)]


async def saturated(port: int, make: MakeRequest, expected: int, seconds: float) -> float:
    """Requests a second, closed loop: each connection asks again as soon as it is answered."""
    connections, done = await connected(port), 0
    deadline = time.perf_counter() + seconds

    async def ask(connection: Connection) -> None:
        nonlocal done
        while time.perf_counter() < deadline:
            await connection.ask(make(), expected)
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*map(ask, connections))
    taken = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return done / taken


async def p99_ms(port: int, make: MakeRequest, expected: int, rate: float, seconds: float) -> float:
    """The 99th percentile of latencies, open loop: from when a request was due, be a connection free or not."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    connections = await connected(port)
    for connection in connections:
        free.put_nowait(connection)
    latencies: list[float] = []

    async def ask(due: float) -> None:
        connection = await free.get()
        await connection.ask(make(), expected)
        latencies.append(time.perf_counter() - due)
        free.put_nowait(connection)

    began, asked = time.perf_counter(), []
    for number in itertools.count():
        due = began + number / rate
        if due - began > seconds:
            break
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        asked.append(asyncio.create_task(ask(due)))
    await asyncio.gather(*asked)
    for connection in connections:
        connection.close()
    return quantiles(latencies, n=100)[-1] * 1000


def http(method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
