"""A port of this machine for a program that is started next."""

import random
import socket

# Below the ports that systems give to outgoing connections: from 32768 on Linux, from 49152 elsewhere (RFC 6335).
# A port from that range can become an end of any connection between its choice here and the program's start.
_FIRST, _LAST = 10_000, 32_767
# Of this system's own source: two processes never draw the same row of ports, whatever a test has seeded.
_drawn = random.SystemRandom()


def free_port() -> int:
    """A port of loopback that nobody listens on at the moment, and that no outgoing connection takes meanwhile."""
    while True:
        port = _drawn.randint(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
