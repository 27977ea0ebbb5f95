"""h11's connection, with a bound on what it may be given to parse, and on how much of it at a time.

What a request costs to parse does not follow from its bytes alone. A chunk takes h11 3 to 6 µs, whether it brings one
byte or 16,000: 16 KiB of one-byte chunks take 15 ms, and 16 KiB of header fields 6 ms. So chunks and lines are counted,
and the caller says how many events may be parsed. Only h11's documented interface is used.
"""

import re

import h11

from layers.connections.bounds import (
    BYTES_A_CHUNK,
    FEED,
    FREE_CHUNKS,
    FREE_LINES,
    MANY_LINES,
    MAX_BETWEEN_CHUNKS,
    MAX_HEAD_BYTES,
    MAX_PATH,
)
from layers.door_errors import BetweenChunksTooLong, PathTooLong, TooManyChunks, TooManyHeaders
from service.http.door import MOST_HEADERS

#: What ends a header, as h11 has it.
_BLANK = re.compile(rb"\n\r?\n")
#: A browser then takes an answer for what its Content-Type says, and a problem that quotes a stranger is no page. It is
#: put into the bytes: h11 would take a microsecond to check it.
NOSNIFF = b"x-content-type-options: nosniff\r\n"
#: Put into the bytes alone. If h11 knew, uvicorn would close at once, and the client's system throw the answer away.
_CLOSE = b"connection: close\r\n"


class Refused(h11.RemoteProtocolError):
    """A request that is HTTP, and costs more than it may; `problem` is what is answered."""

    def __init__(self, problem: Exception) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Metered(h11.Connection):
    """One connection's requests, parsed within bounds.

    Attributes:
        is_stopped: parsing ended because of `allow`, and something may be left to be parsed.
        ends: an answer began before the chunks of its request were read. They are never parsed, and the connection
            ends with the answer.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self.is_stopped = self.ends = False
        # Lines that came since the last request began, at least.
        self._allowed = self._lines = 0
        # What came and h11 was not given yet.
        self._later = memoryview(b"")
        self._is_chunked, self._chunks, self._length = False, 0, 0
        # Of an answer whose length is known: its head goes with the first of its body, in one call of the system.
        self._head: list[bytes] = []

    def allow(self, events: int) -> None:
        """How many events may be parsed from now on."""
        self._allowed, self.is_stopped = events, False

    def is_long(self) -> bool:
        """Whether what has come of a chunked body may take long to parse."""
        return self._is_chunked and self.their_state is h11.SEND_BODY and self.left().count(b"\n") > FREE_LINES

    def has_left(self) -> bool:
        """Whether anything has come and was not parsed."""
        return bool(self.trailing_data[0] or self._later)

    def left(self) -> bytes:
        """What has come and was not parsed."""
        given = self.trailing_data[0]
        return given + bytes(self._later) if self._later else given

    def receive_data(self, data: bytes) -> None:
        """Take what has come. Of many lines h11 is given a little at a time, for it parses a trailer in one go."""
        lines = data.count(b"\n")
        self._lines += lines
        if self._later:
            self._later = memoryview(bytes(self._later) + data)
        elif lines <= MANY_LINES or (self.their_state is h11.SEND_BODY and not self._is_chunked):
            super().receive_data(data)
        else:
            self._later = memoryview(data)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """As h11 gives it; NEED_DATA too where no more events are allowed. Raises `Refused`."""
        if self._allowed <= 0 or self.ends:
            self.is_stopped = not self.ends
            return h11.NEED_DATA
        if self._lines > MOST_HEADERS and self.their_state is h11.IDLE:
            _refuse_long(self.left())
        event = super().next_event()
        if event is h11.NEED_DATA and (self._later or self._is_chunked):
            event = self._fed()
        self._allowed -= 1
        if type(event) is h11.Request:
            self._begin(event)
        elif self._is_chunked and type(event) is h11.Data:
            self._count(event)
        return event

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        """As h11 does, with what every answer says; one to chunks that were not read says that the connection ends."""
        output = super().send_with_data_passthrough(event)
        if output is None:
            return None
        if self._head:
            output, self._head = self._head + output, []
        elif type(event) is h11.Response:
            names = _names(event)
            if b"x-content-type-options" not in names:
                output.insert(-1, NOSNIFF)
            if self._is_chunked and self.their_state is h11.SEND_BODY:
                self.ends = True
                output.insert(-1, _CLOSE)
            if b"content-length" in names:
                output, self._head = [], output
        return output

    def _fed(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event, once h11 has all that it needs for one or all that there is."""
        while True:
            if self._is_chunked and len(self.trailing_data[0]) > MAX_BETWEEN_CHUNKS:
                # Bytes of a chunk are given at once: what is left is the beginning of its header, or of a trailer.
                raise Refused(BetweenChunksTooLong(MAX_BETWEEN_CHUNKS))
            if not self._later:
                return h11.NEED_DATA
            super().receive_data(bytes(self._later[:FEED]))
            self._later = self._later[FEED:]
            event = super().next_event()
            if event is not h11.NEED_DATA:
                return event

    def _begin(self, request: h11.Request) -> None:
        if len(request.target) > MAX_PATH and (length := len(request.target.partition(b"?")[0])) > MAX_PATH:
            raise Refused(PathTooLong(length, MAX_PATH))
        if self._lines > MOST_HEADERS:
            self._lines = self.left().count(b"\n")
        self._is_chunked = b"transfer-encoding" in _names(request)
        if self._is_chunked:
            self._chunks = self._length = 0
            if self.is_long():
                self._allowed = 0

    def _count(self, data: h11.Data) -> None:
        self._chunks += data.chunk_start
        self._length += len(data.data)
        if self._chunks > FREE_CHUNKS + self._length // BYTES_A_CHUNK:
            raise Refused(TooManyChunks(self._chunks, self._length, FREE_CHUNKS, BYTES_A_CHUNK))


def _names(event: h11.Request | h11.Response) -> list[bytes]:
    """The names of its headers. To iterate over h11's own sequence of them takes three times as long."""
    return [name.lower() for name, _ in event.headers.raw_items()]


def _refuse_long(left: bytes) -> None:
    """Refuse a header of many fields before it is parsed, once it is whole."""
    if left.count(b"\n") <= MOST_HEADERS:
        return
    blank = _BLANK.search(left)
    if blank is not None and (fields := left.count(b"\n", 0, blank.start())) > MOST_HEADERS:
        raise Refused(TooManyHeaders(fields, MOST_HEADERS))
