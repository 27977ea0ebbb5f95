"""Waiting for what must come, however busy the machine: no test sleeps and hopes, none asserts a time."""

import time
from collections.abc import Callable

from stack.patience import ANSWER, GRACE, PATIENCE

__all__ = ["ANSWER", "GRACE", "LEASE", "PATIENCE", "eventually"]

#: Seconds of a lease in tests that wait for one to run out. A worker renews it every third of that; one that is alive
#: but gets no core for so long would lose its job, and the test would blame the service.
LEASE = 10


def eventually(true: Callable[[], object]) -> bool:
    """Whether something comes to be so within `PATIENCE`; looks twenty times a second."""
    deadline = time.monotonic() + PATIENCE
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(found)
