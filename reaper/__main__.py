"""`python -m reaper`: finds what was lost on the way and puts it right. Any number may run side by side.

One sweep, for every model:
1. a running job whose lease has run out is tried again, or fails for good (`moves.take_back`);
2. a queued job that nobody began in time expires;
3. a queued job whose message RQ does not hold is given to it again. RQ loses messages: a worker that is killed between
   taking one and beginning its job leaves it where no worker looks. Two sweeps must miss it, because between the
   record and its message there is always a moment. A message too many does no harm: a job is begun once. Each sweep
   looks at the first `FRONT` of the order, where workers take, and at the next `PART` of all.
Then artifacts that nobody will read any more are removed.
"""

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta

import redis

from jobs import moves
from jobs.errors import (
    IllegalTransition,
    InvalidStorage,
    JobNotFound,
    JobPlaneError,
    NewerRecord,
    RefusedRedis,
    UnsafeRedis,
)
from jobs.model import JobStatus
from jobs.redis.connection import patient_client, patient_rq_client, wait_for
from jobs.redis.queue import JobQueue, RqJobQueue
from jobs.redis.store import JobStore, RedisJobStore
from jobs.redis.upkeep import Upkeep, prefix_of
from jobs.storage import ObjectStorage, open_storage
from process import metrics
from process.interruption import Interrupted, interruptible, pause
from process.logs import bound, set_up_logs
from process.settings import settings_or_exit
from reaper.settings import ReaperSettings

log = logging.getLogger("reaper")

#: Entries of a model's order that each sweep looks at: the first ones, and a part of all. Redis does nothing else for
#: about 2 ms. Of 100,000 waiting jobs a message that got lost anywhere is sent again by the 22nd sweep.
FRONT, PART = 1000, 5000
#: How long a sweep waits for a storage that fails: lost jobs wait meanwhile, and what it did not remove the next does.
STORAGE_PATIENCE = timedelta(seconds=4)


class Reaper:
    """Sweeps."""

    def __init__(
        self, upkeep: Upkeep, store: JobStore, queue: JobQueue, storage: ObjectStorage, *, max_attempts: int
    ) -> None:
        self._upkeep, self._store, self._queue, self._storage = upkeep, store, queue, storage
        self._max_attempts = max_attempts
        # By model: the jobs whose messages the last sweep missed, with these, and where the next part of all begins.
        self._missing: dict[str, Mapping[str, str | None]] = {}
        self._behind: dict[str, str] = {}

    def sweep(self) -> None:
        """Once over everything.

        Raises:
            redis.RedisError, JobPlaneError: what is left is for the next sweep.
        """
        for model in self._upkeep.models():
            metrics.begin_at_zero(metrics.REAPER, model)
            for job_id in self._upkeep.lapsed(model):
                self._take_back(model, job_id)
            for job_id in self._upkeep.overdue(model):
                self._expire(model, job_id)
            self._deliver_again(model)
        self._clear()

    def _take_back(self, model: str, job_id: str) -> None:
        with self._passing_over(model, job_id):
            job = self._store.make(moves.take_back(self._store.get(job_id), max_attempts=self._max_attempts))
            log.warning("job %s: its worker was lost in attempt %d; it is %s now", job.id, job.attempt, job.status)
            metrics.WORKERS_LOST.labels(model).inc()
            self._queue.discard(job)

    def _expire(self, model: str, job_id: str) -> None:
        with self._passing_over(model, job_id):
            job = self._store.make(moves.expire(self._store.get(job_id)))
            log.warning("job %s expired: nobody began it by %s", job.id, job.start_by)
            self._queue.discard(job)

    def _deliver_again(self, model: str) -> None:
        before = self._missing.get(model, {})
        for job_id, message in before.items():
            with self._passing_over(model, job_id, message):
                job = self._store.get(job_id)
                if job.status is not JobStatus.QUEUED or (message is not None and job.message != message):
                    self._upkeep.forget_message(model, message)
                elif self._queue.deliver(job_id, model, lost=True):
                    log.warning("job %s: its message was lost and was sent again", job_id)
                    metrics.MESSAGES_SENT_AGAIN.labels(model).inc()
                    self._queue.discard(self._store.get(job_id))
        front = self._upkeep.missing(model, "", FRONT)
        # The front is the first part: the others follow it.
        part = self._upkeep.missing(model, self._behind.get(model) or front.behind, PART) if front.behind else front
        self._behind[model] = part.behind
        self._missing[model] = {**front.missing, **part.missing}

    def _clear(self) -> None:
        if items := self._upkeep.litter():
            for item in items:
                self._storage.remove_all(prefix_of(item))
            self._upkeep.cleared(items)

    @contextmanager
    def _passing_over(self, model: str, job_id: str, message: str | None = None) -> Iterator[None]:
        """Somebody else was faster, or the job is gone."""
        try:
            with bound(job_id=job_id, model=model):
                yield
        except (IllegalTransition, NewerRecord) as reason:
            log.info("passed over: %s", reason)
        except JobNotFound:
            self._upkeep.forget(model, job_id)
            self._upkeep.forget_message(model, message)


def main() -> None:
    """Sweep until a signal comes."""
    settings = settings_or_exit(ReaperSettings)
    set_up_logs(settings.log_format)
    client = patient_client(settings.redis_url)
    try:
        storage = open_storage(settings.storage_url, patience=STORAGE_PATIENCE)
        metrics.serve_metrics(metrics.REAPER, settings.metrics_host, settings.metrics_port)
        wait_for(settings.redis_url)
    except (InvalidStorage, RefusedRedis, UnsafeRedis, metrics.MetricsUnavailable, redis.RedisError) as error:
        sys.exit(str(error))
    reaper = Reaper(
        Upkeep(client, replicas=settings.redis_replicas),
        RedisJobStore(client, usage_days=settings.usage_days),
        RqJobQueue(patient_rq_client(settings.redis_url)),
        storage,
        max_attempts=settings.max_attempts,
    )
    log.info("sweeping every %.1f s", settings.sweep_interval.total_seconds())
    with suppress(Interrupted), interruptible():
        while True:
            began = time.monotonic()
            try:
                reaper.sweep()
                metrics.REAPER_SWEEPS.labels("complete").inc()
                metrics.REAPER_SWEEP_SECONDS.observe(time.monotonic() - began)
            except (redis.RedisError, JobPlaneError) as error:
                metrics.REAPER_SWEEPS.labels("cut_short").inc()
                log.warning("this sweep ended early: %s", error)
            pause(settings.sweep_interval.total_seconds() - (time.monotonic() - began))


if __name__ == "__main__":
    main()
