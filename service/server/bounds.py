"""What the connections of an API process may cost."""

from dataclasses import dataclass

#: The longest header that is waited for, as h11 has it by itself; at most one piece more is read.
MAX_HEAD_BYTES = 16_384
#: So much is read from a connection before others have their turn: 2,700 chunks of one byte take 15 ms.
PIECE = 16_384


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
