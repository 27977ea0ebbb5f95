"""Ctrl-C and SIGTERM, noted where they arrive and acted on where the program looks.

An exception raised by a signal handler surfaces wherever the interpreter happens to be: inside a destructor it is
swallowed (redis-py closes connections in one), inside `Popen` it loses the process just started. So the handler
only takes a note, and code that waits looks at it.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Seconds between two looks of a pause.
_TURN = 0.1
_noted: list[int] = []


class Interrupted(Exception):
    """Somebody wants this process to end.

    Attributes:
        status: what it should exit with: 128 plus the signal's number, as a shell reports it.
    """

    def __init__(self, signum: int):
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.status = 128 + signum


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block signals are noted for `look`; the main thread's, as Python has it."""
    before = {signum: signal.signal(signum, lambda number, _: _noted.append(number)) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        _noted.clear()


def look() -> None:
    """Raise `Interrupted` where a signal was noted; nothing otherwise."""
    if _noted:
        raise Interrupted(_noted[0])


def pause(seconds: float) -> None:
    """Sleep, and look before, after, and now and then: a loop that pauses ends soon after a signal."""
    deadline = time.monotonic() + seconds
    look()
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, _TURN))
        look()
