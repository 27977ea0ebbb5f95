"""A small TCP proxy that can be made to fail: before Redis, before the S3 server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from stack.ports import free_port

_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Proxy:
    """Forwards connections, by default.

    Attributes:
        port: where it listens.
        delay: seconds that each piece of data is held back.
        flows: cleared, nothing is forwarded and nothing is closed: a stall.
        fails: whether every connection is answered by an HTTP 503.
    """

    port: int
    target: int
    delay: float = 0.0
    fails: bool = False
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def reset(self) -> None:
        """Every connection that is open now is torn down (RST)."""
        for writer in list(self._open):
            writer.transport.abort()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.fails:
            with suppress(OSError):
                await reader.read(65536)
                writer.write(_UNAVAILABLE)
                await writer.drain()
            writer.close()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, back}
        self._open |= both
        try:
            await asyncio.gather(self._forward(reader, back), self._forward(there, writer))
        finally:
            self._open -= both
            for each in both:
                each.close()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self.flows.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.fails:
                    break
                sink.write(data)
                await sink.drain()
        # One direction is over: so is the other, which nobody would answer.
        sink.close()


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """A proxy before a port of this machine, forwarding at first."""
    made = Proxy(port=free_port(), target=target)
    made.flows.set()
    server = await asyncio.start_server(made.handle, "127.0.0.1", made.port)
    try:
        yield made
    finally:
        made.flows.set()
        server.close()
        made.reset()
