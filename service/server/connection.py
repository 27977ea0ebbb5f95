"""uvicorn's HTTP/1.1 connection, with an end to everything that a client can make it wait for, hold or compute.

uvicorn 0.54 ends a connection that is idle after an answer, and bounds the length of a header. It waits for ever for
the header itself, for the rest of a body that nobody reads, and for a client that reads no answer; it parses whatever
comes at once; what it refuses, it refuses in plain text. Here each of these has an end, and refusals are problem
documents. For how long a body is waited for that is read is `layers.body_pace`'s to say.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import h11
from starlette.exceptions import HTTPException
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from layers.connections.bounds import AT_ONCE, MAX_HEAD_BYTES, SHARE, Bounds
from layers.connections.flow import Flow, Hold
from layers.connections.shares import Sharer, Shares
from layers.connections.unread import Unread, UnreadAnswer
from layers.connections.waiting import Queue, Waiting
from layers.door_errors import HeadTooLarge, HeadTooSlow, TooManyConnections
from process.metrics import CONNECTIONS_ENDED
from service.server.ending import forget_unsent, refusal
from service.server.metered import Metered, Refused


class BoundedConnection(H11Protocol, asyncio.BufferedProtocol):
    """One connection.

    Args:
        waiting, shares, unread: shared by all connections of a server.
    """

    flow: Flow
    _unread: UnreadAnswer

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
        waiting: Waiting,
        shares: Shares,
        unread: Unread,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn: Metered = Metered()
        self._bounds, self._waiting, self._shares, self._all_unread = bounds, waiting, shares, unread
        self.queue: Queue | None = None
        # Ended: it has had its last answer, and what comes is thrown away.
        self._is_ended, self._counts = False, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it where there are as many as may be and none of them waits."""
        super().connection_made(transport)
        self.flow = Flow(transport, self._wants_more)
        self._unread = UnreadAnswer(transport, self._all_unread, self._bounds, self.not_read)
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
        self._unread.end()
        super().connection_lost(exc)
        # So that nothing refers back to it, and what it holds is free at once: garbage is hardly ever looked for
        # (`service.__main__`).
        self.flow.forget()
        self._unread.forget()

    def _count(self, count: int) -> None:
        """Whether it counts as open. One that is as good as gone does not."""
        self._waiting.open += count - self._counts
        self._counts = count

    # What comes

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next piece is read to; asyncio would read 256 KiB at once."""
        return self._waiting.piece

    def buffer_updated(self, nbytes: int) -> None:
        """A piece was read, and is taken before another connection's is."""
        if self._is_ended:
            # Who sends on after the last answer has a turn with all others who do.
            self._wait_for(self._shares.go_on)
        else:
            self.data_received(bytes(self._waiting.piece[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Take what has come, once it is its turn."""
        if self._is_ended or self.conn.ends:
            return
        self.conn.receive_data(data)
        if self.conn.is_long():
            self._wait_for(self._shares.go_on)
        elif not self._shares.may_take():
            self._wait_for(self._shares.take)
        else:
            self.conn.allow(AT_ONCE)
            self.handle_events()
        self._settle(has_sent=True)

    def handle_events(self) -> None:
        """Parse as much as is allowed; the rest in shares."""
        super().handle_events()
        if self.conn.is_stopped:
            self._wait_for(self._shares.go_on)

    def _wait_for(self, share: Callable[[Sharer], None]) -> None:
        if Hold.SHARE not in self.flow.holds:
            self.flow.hold(Hold.SHARE)
            share(self)

    def take_share(self) -> None:
        """Parse a share."""
        self.flow.holds.discard(Hold.SHARE)
        if not (self._is_ended or self.transport.is_closing()):
            self.conn.allow(SHARE)
            self.handle_events()
            self._settle()
        self.flow.read_again()

    # Whom it waits for

    def _settle(self, *, has_sent: bool = False) -> None:
        queue = self._waits_in()
        if not self._is_ended and (queue is not self.queue or (has_sent and queue is self._waiting.body)):
            self._waiting.enter(self, queue)

    def _waits_in(self) -> Queue | None:
        """The queue that it belongs to now."""
        if self.transport.is_closing():
            return None
        if self.flow.write_paused:
            return self._waiting.answer
        is_within = self.conn.their_state is h11.SEND_BODY
        if self._is_answering():
            # Who is not read from waits for the service.
            return self._waiting.body if is_within and not self.flow.read_paused else None
        if is_within:
            return self._waiting.rest
        return self._waiting.head if self.cycle is None or self.conn.has_left() else self._waiting.idle

    def _is_answering(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wants_more(self) -> None:
        self._settle(has_sent=True)

    def waited(self) -> None:
        """It has waited for as long as it may."""
        if self._is_ended:
            self.transport.abort()
        elif self.conn.their_state is h11.IDLE and self.conn.has_left():
            self._refuse(HeadTooSlow(self._bounds.head_seconds))
        else:  # a client that has sent nothing gets nothing
            self.transport.close()

    def make_room(self) -> None:
        """Its place is needed for another one."""
        CONNECTIONS_ENDED.labels("made_room").inc()
        self._count(0)
        if self._is_answering() and self._gives_up():
            self.transport.write(refusal(TooManyConnections(self._bounds.connections))[0])
            self.transport.close()
        else:
            self._drop()

    # What is sent

    def on_response_complete(self) -> None:
        """An answer was sent. What follows it begins once the client has read it."""
        if self.flow.write_paused and not self.transport.is_closing():
            self.flow.hold(Hold.ANSWER)
        else:
            self._go_on()

    def _go_on(self) -> None:
        # A request that came before this answer was there takes its turn, so that it delays nobody who waits for his.
        self.conn.allow(0 if self.conn.has_left() else AT_ONCE)
        if self.conn.ends:
            self._end()
            return
        # As uvicorn does, without its timer for the next request: `Waiting.idle` keeps the time of all connections.
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.conn.our_state is h11.DONE and self.conn.their_state is h11.DONE:
                self.conn.start_next_cycle()
                self.handle_events()
        self._settle()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is sent to."""
        super().pause_writing()
        if self._is_ended:
            return
        self._waiting.enter(self, self._waiting.answer)
        self._unread.begin()

    def resume_writing(self) -> None:
        """The client has read all that it was sent."""
        self._unread.end()
        super().resume_writing()
        if Hold.ANSWER in self.flow.holds:
            self.flow.release(Hold.ANSWER)
            self._go_on()
        else:
            self._settle()

    def has_read(self) -> bool:
        """Whether the client has read something of its answer since this was asked last."""
        return self._unread.has_read()

    def not_read(self) -> None:
        """The client does not read its answer."""
        CONNECTIONS_ENDED.labels("answer_not_read").inc()
        self._drop()

    # How it ends

    def shutdown(self) -> None:
        """The process ends: what was refused is not waited for."""
        if self._is_ended:
            self.transport.close()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or costs too much. uvicorn calls this where h11 has raised an error."""
        error = sys.exc_info()[1]
        if error is not None:
            # h11 raises it from a frame that refers to it: the circle would hold this connection and all that came.
            error.__traceback__ = None
        if not self._gives_up():
            self.transport.close()
        elif isinstance(error, Refused):
            self._refuse(error.problem)
        else:
            is_long = getattr(error, "error_status_hint", 400) == 431
            self._refuse(HeadTooLarge(MAX_HEAD_BYTES) if is_long else HTTPException(400))

    def _gives_up(self) -> bool:
        """Have a route that reads the body see that the client has gone; False where its answer has begun."""
        if not self._is_answering():
            return True
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        return not self.cycle.response_started

    def _refuse(self, error: Exception) -> None:
        """Answer in place of the application, and end the connection once the client has read it."""
        answer, code = refusal(error)
        CONNECTIONS_ENDED.labels(code).inc()
        self._end(answer)

    def _end(self, answer: bytes = b"") -> None:
        """Have the client read what was sent, and take nothing of what it sends."""
        self._is_ended = True
        self._count(0)
        self.transport.write(answer)
        try:
            # To close at once would have the client's system throw the answer away, where more of the request comes.
            self.transport.write_eof()
        except (OSError, NotImplementedError):  # the client has gone; a transport that cannot be closed on one side
            self.transport.close()
        else:
            self.flow.open()
            self._waiting.enter(self, self._waiting.ended)

    def _drop(self) -> None:
        """End it at once, and forget what was sent: `close` would wait until all was read."""
        self._waiting.enter(self, None)
        self._unread.end()
        if self.flow.write_paused:
            forget_unsent(self.transport)
        self.transport.abort()
