"""A job is its worker's for as long as the worker shows that it gets on with it.

A thread renews all leases of the worker in one round trip, each while the job's steps end in time. When none has ended
within the model's limit that lease is left, so that the reaper gives the job to somebody else. Once that must have
happened the process ends: whatever hangs, a kernel on the GPU for one, is not waited for. Being alive is no sign of
health; ending steps is.

A job that shares steps also waits: while others are prepared, for a turn of all, for a thread that stores its results.
Meanwhile its lease is renewed for as long as the worker gets on with any of them.
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
from jobs.moves import Move
from jobs.redis.store import JobStore

log = logging.getLogger(__name__)

#: Exit status of a process that hangs (sysexits.h: EX_SOFTWARE); a supervisor starts it again.
HUNG = 70


#: Gives a move that is to be made with a renewal, if there is one.
Report = Callable[[], Move | None]


def end_process() -> None:
    """Ends this process at once: no handler, no other thread and no destructor is waited for."""
    os._exit(HUNG)


class Lease:
    """One job's lease.

    Attributes:
        job: as its execution began it.
        report: gives the move that writes down how far the job is; None before its first step.
        waits: whether others are worked on, and not this job by itself.
        limit: how long the step at hand may take.
    """

    def __init__(
        self, job: Job, first_step: timedelta, step: timedelta, report: Report, clock: Callable[[], float]
    ) -> None:
        self.job, self.report, self._step, self._clock = job, report, step.total_seconds(), clock
        self.limit, self._since, self.waits = first_step.total_seconds(), clock(), False

    @property
    def without_step(self) -> float:
        """Seconds since anything of it ended, or since it waited."""
        return self._clock() - self._since

    def got_on(self) -> None:
        """Something of the job has ended, or its turn has come. The limit stays: its first step may be still ahead."""
        self._since, self.waits = self._clock(), False

    def step_ended(self) -> None:
        """A step has ended: no other one may take as long as the first."""
        self.limit = self._step
        self.got_on()

    def wait(self) -> None:
        """It waits for others."""
        self.waits = True


class Leases:
    """Renews the leases that are held, within a `with` block.

    Args:
        length: how long a job stays the worker's after the last renewal.
        alive: called with every renewal.
        give_up: ends the process.
    """

    def __init__(
        self,
        store: JobStore,
        *,
        length: timedelta,
        alive: Callable[[], None] = lambda: None,
        give_up: Callable[[], None] = end_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._length, self._clock = store, length, clock
        self._alive, self._give_up = alive, give_up
        self._held: dict[str, Lease] = {}
        self._got_on = clock()
        self._ended = threading.Event()
        # With the log context of the holder, which threads do not inherit.
        keep = partial(copy_context().run, self._keep)
        self._thread = threading.Thread(target=keep, name="leases", daemon=True)

    def __enter__(self) -> "Leases":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def hold(self, job: Job, *, first_step: timedelta, step: timedelta, report: Report = lambda: None) -> Lease:
        """Renew a job's lease from now on.

        Args:
            first_step: how long until the first step has ended, which may compile and fetch what the others find ready.
            step: how long any other step may take, storing an artifact included.
            report: gives the move that writes down how far the job is, made with each renewal.
        """
        lease = self._held[job.id] = Lease(job, first_step, step, report, self._clock)
        return lease

    def got_on(self) -> None:
        """The worker has ended something: of any job, or of all."""
        self._got_on = self._clock()

    def leave(self, lease: Lease) -> None:
        """Renew it no more: the job has ended, or is another's."""
        self._held.pop(lease.job.id, None)

    def _keep(self) -> None:
        while not self._ended.wait(self._length.total_seconds() / 3):
            if not self.renewed():
                return

    def renewed(self) -> bool:
        """One turn of the thread; False if the process is given up."""
        held = list(self._held.values())
        # A turn of all may take as long as that of any of them: one may be at its first step.
        longest = max((lease.limit for lease in held if lease.waits), default=0.0)
        waited = self._clock() - self._got_on
        late = []
        for lease in held:
            since, limit = (waited, longest) if lease.waits else (lease.without_step, lease.limit)
            if since <= limit:
                continue
            late.append(lease)
            if since > limit + self._length.total_seconds():
                log.critical("job %s: no step has ended for %.0f s; this process ends", lease.job.id, since)
                self._give_up()
                return False
            log.error("job %s: no step has ended for %.0f s; its lease is not renewed", lease.job.id, since)
        in_time = [lease for lease in held if lease not in late]
        if held and not in_time:
            return True
        try:
            self._alive()
            reports = [report for lease in in_time if (report := lease.report()) is not None]
            jobs = [lease.job for lease in in_time]
            answers = self._store.renew_all(jobs, self._length, reports) if jobs else ()
        except redis.RedisError as error:
            # The leases run on meanwhile; the next turn tries again.
            log.warning("the leases of %d jobs could not be renewed: %s", len(in_time), error)
            return True
        for lease, is_held in zip(in_time, answers, strict=True):
            if not is_held:
                self.leave(lease)
        return True
