"""What a queued message calls: `worker.tasks.run_edit`, by name (`jobs.redis.message.TASK`).

RQ calls a plain function, and the model it needs is in this process already: `set_context` says once, before the worker
listens, what the function works with.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import redis

from jobs.catalogue import ModelPatience
from jobs.errors import IllegalTransition, JobNotFound, NewerRecord, StorageUnavailable
from jobs.model import Job, JobStatus
from jobs.redis.queue import JobQueue
from jobs.redis.sources import KeptSources
from jobs.redis.store import JobStore
from jobs.storage import ObjectStorage
from process.logs import bind, bound
from process.trace import Trace
from worker.drain import Drain, Pace
from worker.engine import DeviceLost, Engine
from worker.events import Canceled, Event, Failed, HandedBack, Progress
from worker.kept_sources import kept_source
from worker.lease import Lease, end_process
from worker.metered import Meter
from worker.observed import observed
from worker.photo import image_from
from worker.publishing import Publisher

log = logging.getLogger(__name__)

#: Seconds a worker lets go by after it gave back a job that only a newer one can read: else it would have it again.
UNREADABLE_PAUSE = 1.0


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What this process works off jobs with."""

    model: str
    engine: Engine
    store: JobStore
    queue: JobQueue
    storage: ObjectStorage
    sources: KeptSources
    patience: ModelPatience
    drain: Drain
    lease: timedelta = timedelta(seconds=10)
    alive: Callable[[], None] = lambda: None
    give_up: Callable[[], None] = end_process
    pause: Callable[[float], None] = field(default=time.sleep)


_context: WorkerContext | None = None


def set_context(context: WorkerContext | None) -> None:
    """Set what `run_edit` works with in this process."""
    global _context
    _context = context


@bound()
def run_edit(job_id: str) -> None:
    """Work one job off. How it ended is in its record; nothing is raised for what went wrong inside it."""
    if _context is None:
        raise RuntimeError("no model is resident in this process: start it with `python -m worker --model ID`")
    bind(job_id=job_id, model=_context.model)
    try:
        job = _context.store.get(job_id)
    except JobNotFound as reason:
        log.info("passed over: %s", reason)
        return
    except NewerRecord as reason:
        log.warning("job %s is left to a newer worker: %s", job_id, reason)
        # The job is queued still: only its message was taken. Behind all others, or this worker would take it again
        # before those that it can read.
        _context.queue.deliver(job_id, _context.model, last=True)
        _context.pause(UNREADABLE_PAUSE)
        return
    if job.status is JobStatus.QUEUED and job.start_by < datetime.now(UTC):
        log.warning("job %s is left to the reaper: it should have been begun by %s", job_id, job.start_by)
        return
    publisher = Publisher(
        job,
        _context.store,
        _context.storage,
        _context.sources,
        lease=_context.lease,
        judge=_context.engine.judge,
    )
    bind(**_about(publisher.job))
    try:
        _work(publisher, _context)
    except (IllegalTransition, JobNotFound) as reason:
        # Canceled while it waited, or over, or somebody else's: the record has the last word.
        log.info("passed over: %s", reason)
        publisher.discard()
    except DeviceLost:
        log.critical("job %s: the device is lost; this process ends, and the job is tried again", job_id, exc_info=True)
        _context.give_up()
    except redis.RedisError:
        # Nothing can be written down: the lease runs out, and the reaper has the job tried again.
        log.exception("job %s: Redis was lost on the way", job_id)


def _work(publisher: Publisher, context: WorkerContext) -> None:
    find = partial(kept_source, publisher.job.owner, sources=context.sources, storage=context.storage)
    meter = Meter(publisher.job)
    publisher.usage = meter.usage
    run = meter.metered(context.engine.run(publisher.job, find, image_from(context.storage)))
    events = observed(run, publisher.job)
    try:
        with closing(events):  # whatever stops here, the model's own attention is back in place
            publisher.handle(next(events))  # `Started`: the job is this execution's from here on
            with _lease(publisher, context) as lease:
                for event in _until_unwanted(events, publisher, context):
                    publisher.handle(event)
                    lease.step_ended()
    except (IllegalTransition, JobNotFound, DeviceLost, redis.RedisError):
        raise
    except StorageUnavailable as error:
        log.exception("job %s: an artifact was not stored", publisher.job.id)
        publisher.handle(Failed(code=error.code, message="the results could not be stored: send the edit again"))
    except Exception:
        log.exception("job %s could not be published", publisher.job.id)
        publisher.handle(Failed(code="internal_error", message="something failed here: send the edit again"))


def _about(job: Job) -> dict[str, object]:
    """What every line that is logged about an execution says beside the job's id and model."""
    trace = Trace.parse(job.traceparent)
    of_trace = {} if trace is None else {"trace_id": trace.trace_id}
    return {"execution": job.execution, "attempt": job.attempt, "key_id": job.owner, **of_trace}


def _lease(publisher: Publisher, context: WorkerContext) -> Lease:
    return Lease(
        publisher.job,
        context.store,
        length=context.lease,
        first_step=timedelta(seconds=context.patience.first_step_seconds),
        step=timedelta(seconds=context.patience.step_seconds),
        alive=context.alive,
        give_up=context.give_up,
    )


def _until_unwanted(events: Iterator[Event], publisher: Publisher, context: WorkerContext) -> Iterator[Event]:
    """The events of a job, cut short where it is no longer wanted, takes too long, or the worker is to end."""
    began, pace = time.monotonic(), Pace()
    for event in events:
        yield event
        if not isinstance(event, Progress):
            continue
        watched = context.store.watch(publisher.job.id)
        if watched.execution != publisher.job.execution:
            raise IllegalTransition(publisher.job.id, "another execution's", "worked on")
        if watched.cancel_requested:
            yield Canceled()
            return
        taken = time.monotonic() - began
        if taken > context.patience.job_seconds:
            limit = f"it took longer than {context.patience.job_seconds:g} s: ask for fewer steps or targets"
            yield Failed(code="deadline_exceeded", message=limit)
            return
        pace.step_ended()
        # What follows the last step is taken for another one.
        if context.drain.is_too_late_for(pace.seconds_of(event.steps - event.step + 1)):
            log.warning("job %s is given back at step %d of %d", publisher.job.id, event.step, event.steps)
            yield HandedBack()
            return
