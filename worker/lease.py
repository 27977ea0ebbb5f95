"""A job is its worker's for as long as the worker shows that it gets on with it.

A thread renews the lease while steps end in time. When none has ended within the model's limit it stops, so that the
reaper gives the job to somebody else, and once that must have happened it ends the process: whatever hangs, a kernel on
the GPU for one, is not waited for. Being alive is no sign of health; ending steps is.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from types import TracebackType

import redis

from jobs.model import Job
from jobs.redis.store import JobStore

log = logging.getLogger(__name__)

#: Exit status of a process that hangs (sysexits.h: EX_SOFTWARE); a supervisor starts it again.
HUNG = 70


def end_process() -> None:
    """Ends this process at once: no handler, no other thread and no destructor is waited for."""
    os._exit(HUNG)


class Lease:
    """Renews one job's lease within a `with` block.

    Args:
        job: as its execution began it.
        length: how long the job stays the worker's after the last renewal.
        first_step: how long until the first step has ended, which may compile and fetch what the others find ready.
        step: how long any other step may take, storing an artifact included.
        alive: called with every renewal.
        give_up: ends the process.
    """

    def __init__(
        self,
        job: Job,
        store: JobStore,
        *,
        length: timedelta,
        first_step: timedelta,
        step: timedelta,
        alive: Callable[[], None] = lambda: None,
        give_up: Callable[[], None] = end_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job, self._store, self._length = job, store, length
        self._step, self._alive, self._give_up, self._clock = step.total_seconds(), alive, give_up, clock
        self._limit, self._last_step = first_step.total_seconds(), clock()
        self._ended = threading.Event()
        # With the log context of the lease's holder, which threads do not inherit.
        keep = partial(copy_context().run, self._keep)
        self._thread = threading.Thread(target=keep, name=f"lease of {job.id}", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def step_ended(self) -> None:
        """The job gets on."""
        self._last_step, self._limit = self._clock(), self._step

    def _keep(self) -> None:
        while not self._ended.wait(self._length.total_seconds() / 3):
            if not self.renewed():
                return

    def renewed(self) -> bool:
        """One turn of the thread; False where there is nothing left to renew."""
        without_step = self._clock() - self._last_step
        if without_step > self._limit + self._length.total_seconds():
            log.critical("job %s: no step has ended for %.0f s; this process ends", self._job.id, without_step)
            self._give_up()
            return False
        if without_step > self._limit:
            log.error("job %s: no step has ended for %.0f s; its lease is not renewed", self._job.id, without_step)
            return True
        try:
            self._alive()
            return self._store.renew(self._job, self._length)
        except redis.RedisError as error:
            # The lease runs on meanwhile; the next turn tries again.
            log.warning("job %s: its lease could not be renewed: %s", self._job.id, error)
            return True
