"""How long the event loop of this process was held, in processor time: a busy machine does not matter.

Two things hold a loop. One is what it runs itself: each callback's time on this thread's processor clock. The other is
another thread in a call into C that keeps Python's lock, where Python's own code gives it away every millisecond. So in
every other thread the time from one event of `sys.setprofile` to the next is measured, on that thread's clock: calls of
Python functions and of C functions, and their returns. A call into C that gives the lock away counts too.
"""

import asyncio
import threading
import time
from asyncio import events
from types import FrameType
from typing import Any


class Watch:
    """Measures from `begin` on, for the rest of the process's life."""

    def __init__(self) -> None:
        self._longest, self._last = 0.0, threading.local()

    def begin(self) -> None:
        """Called once, in the loop's thread, before it runs and before there are others."""
        handles: Any = events.Handle
        run = handles._run

        def measured(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            run(handle)
            self._longest = max(self._longest, time.thread_time() - began)

        handles._run = measured
        threading.setprofile(self._profile)

    def taken(self) -> float:
        """The longest time in seconds since this was asked last."""
        longest, self._longest = self._longest, 0.0
        return longest

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        now = time.thread_time()
        self._longest = max(self._longest, now - getattr(self._last, "at", now))
        self._last.at = time.thread_time()
