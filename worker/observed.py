"""Measures a job while its events pass through: what the engine yields, and when the listener asks for more."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import cast

from jobs.model import Job
from jobs.redis.backlog import seconds_waited
from process import metrics
from worker.events import Event, Finished, Progress, Started, Waiting


def observed(
    events: Iterator[Event], job: Job, clock: Callable[[], float] = time.perf_counter
) -> Generator[Event, None, None]:
    """The events of a job, each as it is; its waiting, its steps and its publication are noted.

    A step counts from when the engine is asked to go on, so that what is written down in between is not its. An event
    has been handled when the next one is asked for: `Started` then is a job begun, `Finished` one that is published.
    """
    waited, last_step, first = seconds_waited(job, datetime.now(UTC)), clock(), True
    with closing(cast(Generator[Event, None, None], events)):
        asked = clock()
        for event in events:
            if isinstance(event, Progress):
                (metrics.FIRST_STEP_SECONDS if first else metrics.STEP_SECONDS).labels(job.model).observe(
                    clock() - asked
                )
                first, last_step = False, clock()
            yield event
            if isinstance(event, Started):
                metrics.ATTEMPTS.labels(job.model).inc()
                metrics.QUEUE_WAIT_SECONDS.labels(job.model).observe(waited)
            elif isinstance(event, Finished):
                metrics.PUBLICATION_SECONDS.labels(job.model).observe(clock() - last_step)
            # What a job waits for is its turn: its step's time goes on.
            if not isinstance(event, Waiting):
                asked = clock()
