"""A port of this machine for a program that is started next."""

import os
import random
import socket
import sys
import time
from collections import deque

# Below the ports that systems give to outgoing connections: from 32768 on Linux, from 49152 elsewhere (RFC 6335).
# A port from that range can become an end of any connection between its choice here and the program's start.
_FIRST, _LAST = 10_000, 32_767
# Of this system's own source: two processes never draw the same row of ports, whatever a test has seeded.
_drawn = random.SystemRandom()
#: Seconds for which no other process that asks here is given a port: its program may start late, after all others of
#: a stack. With four tests at a time, one stack in some hundreds lost a port to another before.
_KEPT = 120.0
_claims: deque[tuple[float, int]] = deque()  # when, and the socket's descriptor


def free_port() -> int:
    """A port of loopback that nobody listens on at the moment, and that nobody else takes meanwhile.

    That is no outgoing connection, and for two minutes no other process that asks here.
    """
    while True:
        port = _drawn.randint(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if _claimed(port):
                return port


def _claimed(port: int) -> bool:
    """Whether a port is this process's from here on. On Linux alone names end with the process that holds them."""
    if sys.platform != "linux":
        return True
    while _claims and _claims[0][0] < time.monotonic() - _KEPT:
        os.close(_claims.popleft()[1])
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0p2p-edit-service-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append((time.monotonic(), claim.detach()))
    return True
