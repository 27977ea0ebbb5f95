"""Measures what a job that runs alone uses, while its events pass through."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import cast

from jobs.fairness import pixels_of, rows_of
from jobs.model import Job
from worker.events import Event, Progress
from worker.usage import Usage


class Meter:
    """One attempt at a job. All seconds of its steps are its own; the first has what comes before it."""

    def __init__(self, job: Job, clock: Callable[[], float] = time.perf_counter) -> None:
        self._spec, self._clock = job.spec, clock
        self._seconds, self._steps = 0.0, 0

    def usage(self) -> Usage:
        """What was used up to the last event."""
        rows, megapixels = rows_of(self._spec), pixels_of(self._spec) / 1e6
        return Usage(gpu_seconds=self._seconds, steps=self._steps, rows=rows, megapixels=megapixels)

    def metered(self, events: Iterator[Event]) -> Generator[Event, None, None]:
        """The events, each as it is. A step counts from when it is asked for, without what is written in between."""
        with closing(cast(Generator[Event, None, None], events)):
            asked = self._clock()
            for event in events:
                if isinstance(event, Progress):
                    self._seconds += self._clock() - asked
                    self._steps += 1
                yield event
                asked = self._clock()
