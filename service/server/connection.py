"""uvicorn's HTTP/1.1 connection, with an end to everything that a client can make it wait for.

uvicorn 0.54 ends a connection that is idle after an answer, and bounds the length of a header. It waits for ever for
the header itself, for the rest of a body that nobody reads, and for a client that reads no answer; what it refuses, it
refuses in plain text. Here each of these has an end, and refusals are problem documents. A body that is read is
`layers.body_pace`'s.
"""

import asyncio
import socket
import struct
import sys
from typing import Any

import h11
from starlette.exceptions import HTTPException
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from layers.door_errors import HeadTooLarge, HeadTooSlow, TooManyConnections
from process.metrics import CONNECTIONS_ENDED
from service.http.errors import phrase_of, problem_of
from service.server.bounds import MAX_HEAD_BYTES, Bounds
from service.server.waiting import Queue, Waiting


class BoundedConnection(H11Protocol, asyncio.BufferedProtocol):
    """One connection.

    Args:
        waiting: shared by all connections of a server.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
        waiting: Waiting,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds, self._waiting = bounds, waiting
        self.queue: Queue | None = None
        self._unread, self._unread_since = 0, 0.0
        self._reading: asyncio.TimerHandle | None = None
        self._is_refused, self._counts = False, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it where there are as many as may be and none of them waits."""
        super().connection_made(transport)
        self._count(1)
        # So that `pause_writing` and `resume_writing` tell when anything is left to be read, and when nothing is.
        transport.set_write_buffer_limits(high=0)
        while self._waiting.open > self._bounds.connections:
            if not self._waiting.make_room():
                self._refuse(TooManyConnections(self._bounds.connections))
                return
        self._waiting.enter(self, self._waiting.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._waiting.enter(self, None)
        self._count(0)
        self._stop_reading()
        super().connection_lost(exc)

    def _count(self, count: int) -> None:
        """Whether it counts as open. One that is as good as gone does not."""
        self._waiting.open += count - self._counts
        self._counts = count

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next piece is read to; asyncio would read 256 KiB at once."""
        return self._waiting.piece

    def buffer_updated(self, nbytes: int) -> None:
        """A piece was read, and is taken before another connection's is."""
        self.data_received(bytes(self._waiting.piece[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if not self._is_refused:
            super().data_received(data)
            self._settle()

    def on_response_complete(self) -> None:
        """An answer was sent."""
        super().on_response_complete()
        self._settle()

    def _settle(self) -> None:
        queue = self._waits_in()
        if queue is not self.queue and not self._is_refused:
            self._waiting.enter(self, queue)

    def _waits_in(self) -> Queue | None:
        """The queue that it belongs to now."""
        is_answered = self.cycle is None or self.cycle.response_complete
        # While the client still reads its answer, `_look_at_reading` keeps the time.
        if not is_answered or self.flow.write_paused or self.transport.is_closing():
            return None
        if self.conn.their_state is h11.SEND_BODY:
            return self._waiting.rest
        return self._waiting.head if self.cycle is None or self.conn.trailing_data[0] else self._waiting.idle

    def waited(self) -> None:
        """It has waited for as long as it may."""
        has_begun = self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]
        if has_begun and not self._is_refused:
            self._refuse(HeadTooSlow(self._bounds.head_seconds))
        else:  # a client that has sent nothing gets nothing
            self.transport.close()

    def make_room(self) -> None:
        """Its place is needed for another one."""
        CONNECTIONS_ENDED.labels("made_room").inc()
        self._count(0)
        self.transport.abort()

    def shutdown(self) -> None:
        """The process ends: what was refused is not waited for."""
        if self._is_refused:
            self.transport.close()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is sent to."""
        super().pause_writing()
        self._unread, self._unread_since = self.transport.get_write_buffer_size(), self.loop.time()
        self._reading = self.loop.call_later(self._bounds.send_seconds, self._look_at_reading)

    def resume_writing(self) -> None:
        """The client has read all that it was sent."""
        self._stop_reading()
        super().resume_writing()
        self._settle()

    def _look_at_reading(self) -> None:
        # Nothing is added meanwhile: the application may send again once all was read.
        read = max(0, self._unread - self.transport.get_write_buffer_size())
        until = self._unread_since + self._bounds.send_seconds + read / self._bounds.min_rate
        if (left := until - self.loop.time()) > 0:
            self._reading = self.loop.call_later(left, self._look_at_reading)
            return
        CONNECTIONS_ENDED.labels("answer_not_read").inc()
        # Not `close`, which waits until all was read; and what the system has yet to send is thrown away as well.
        if (connected := self.transport.get_extra_info("socket")) is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP. uvicorn calls this where h11 has raised an error."""
        if self.cycle is not None and not self.cycle.response_complete:
            # Within a body: the route that reads it sees that the client has gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        is_long = getattr(sys.exc_info()[1], "error_status_hint", 400) == 431
        self._refuse(HeadTooLarge(MAX_HEAD_BYTES) if is_long else HTTPException(400))

    def _refuse(self, error: Exception) -> None:
        """Answer in place of the application, and end the connection once the client has read it."""
        response, code = problem_of(error)
        CONNECTIONS_ENDED.labels(code).inc()
        head = [f"HTTP/1.1 {response.status_code} {phrase_of(response.status_code)}", "connection: close"]
        head += [f"{name.decode()}: {value.decode()}" for name, value in response.raw_headers if name != b"connection"]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + bytes(response.body))
        self._is_refused = True
        self._count(0)
        if self.transport.can_write_eof():
            # To close at once would have the client's system throw the answer away, where more of the request comes.
            self.transport.write_eof()
            self._waiting.enter(self, self._waiting.rest)
        else:
            self.transport.close()
