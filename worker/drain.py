"""What a worker that gets SIGTERM has time for: it finishes the job at hand, or gives it back at once."""

import time
from collections.abc import Callable
from datetime import timedelta


class Drain:
    """Whether this worker is to end, and by when.

    Args:
        grace: how long it has from the signal until it is killed.
    """

    def __init__(self, grace: timedelta, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._grace, self._clock = grace.total_seconds(), clock
        self._deadline: float | None = None

    @property
    def is_asked(self) -> bool:
        """Whether a signal has come."""
        return self._deadline is not None

    def ask(self) -> None:
        """The worker is to end; the first time counts."""
        if self._deadline is None:
            self._deadline = self._clock() + self._grace

    def is_too_late_for(self, seconds: float) -> bool:
        """Whether work of so many seconds would not end within the grace time."""
        return self._deadline is not None and self._clock() + seconds > self._deadline


class Pace:
    """How fast a run gets on. Its first step, which also has to warm up, is no measure of the others."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._steps, self._first = clock, 0, 0.0

    def step_ended(self) -> None:
        """One more step is done."""
        if not self._steps:
            self._first = self._clock()
        self._steps += 1

    def seconds_of(self, steps: int) -> float:
        """How long so many more steps will take; 0 while that is not known."""
        return 0.0 if self._steps < 2 else (self._clock() - self._first) / (self._steps - 1) * steps
