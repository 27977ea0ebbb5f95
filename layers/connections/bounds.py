"""What the connections of an API process may cost."""

from dataclasses import dataclass

#: The longest header that is waited for, as h11 has it by itself; at most one piece more is read.
MAX_HEAD_BYTES = 16_384
#: So much is read from a connection before others have their turn.
PIECE = 16_384
#: Bytes of a path. The longest of ours, that of an artifact, has 200; to decode `%` takes uvicorn 0.25 µs a byte.
MAX_PATH = 2_048

#: Chunks that any body may have, however small they are: they take 3 ms to parse, in shares.
FREE_CHUNKS = 512
#: And one more for so many bytes: with chunks of 64 bytes, 16 KiB take 1.3 ms. Clients send thousands of bytes in one,
#: or a line of text.
BYTES_A_CHUNK = 64
#: Bytes of a chunk's size with its extensions, and of the trailer after the last chunk. Nobody reads them. h11 parses a
#: trailer in one go, which takes 5 ms for so many and what is given with them.
MAX_BETWEEN_CHUNKS = 4_096
#: Lines of a piece from which on h11 is given it in parts of so many bytes. A header has a hundred at most.
MANY_LINES, FEED = 200, 2_048

#: Events that are parsed as soon as they come: a request has three or four, and one more for each chunk of a piece.
AT_ONCE = 16
#: Lines of chunks that are parsed as soon as they come: two a chunk.
FREE_LINES = 32
#: Events of one share. One share is parsed in each turn of the event loop, of all connections: 0.7 to 1.4 ms.
SHARE = 256
#: Pieces that are taken in one turn, of all connections. With 16 KiB of a body each takes 0.1 ms, and 0.5 ms with the
#: header of a request that is dear to begin; a turn reads 256 KiB of large bodies.
TAKEN_IN_A_TURN = 16

#: Bytes of answers that clients have not read yet, of all connections together. A piece of an artifact has 64 KiB, so
#: that a thousand clients may read slowly at once.
MOST_UNREAD = 67_108_864
#: Connections that have had their last answer, and are kept for a while so that the client can read it.
MOST_ENDED = 256


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What connections may cost.

    Attributes:
        connections: how many may be open.
        head_seconds: how long a header may take to come, and the rest of a body that nobody reads.
        idle_seconds: how long a connection may stay without a request.
        send_seconds, min_rate: how long a client may take to read, beside a second for so many bytes of it.
    """

    connections: int
    head_seconds: float
    idle_seconds: float
    send_seconds: float
    min_rate: float
