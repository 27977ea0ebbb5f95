"""What a queued message calls: `worker.tasks.run_edit`, by name (`jobs.redis.message.TASK`).

RQ calls a plain function, and the model it needs is in this process already: `set_context` says once, before the worker
listens, what the function works with.
"""

import logging
from datetime import UTC, datetime

from jobs.errors import JobNotFound, NewerRecord
from jobs.model import Job, JobStatus
from jobs.redis.record import existing
from process.logs import bind, bound
from worker.context import WorkerContext
from worker.table import serve

__all__ = ["WorkerContext", "run_edit", "set_context"]

log = logging.getLogger(__name__)

#: Seconds a worker lets go by after it gave back a job that only a newer one can read: else it would have it again.
UNREADABLE_PAUSE = 1.0


_context: WorkerContext | None = None


def set_context(context: WorkerContext | None) -> None:
    """Set what `run_edit` works with in this process."""
    global _context
    _context = context


@bound()
def run_edit(job_id: str) -> None:
    """Work one job off, and those that join it. How each ended is in its record."""
    if _context is None:
        raise RuntimeError("no model is resident in this process: start it with `python -m worker --model ID`")
    context = _context
    bind(model=context.model)
    job = _waiting(job_id, context)
    if job is not None:
        serve(job, context)


@bound()
def _waiting(job_id: str, context: WorkerContext) -> Job | None:
    """The job of a message; None if this worker is not to begin it."""
    bind(job_id=job_id)
    try:
        record = context.record_of(job_id)
        job = context.store.get(job_id) if record is None else existing(job_id, record)
    except JobNotFound as reason:
        log.info("passed over: %s", reason)
        return None
    except NewerRecord as reason:
        log.warning("job %s is left to a newer worker: %s", job_id, reason)
        # The job is queued still: only its message was taken. Behind all others, or this worker would take it again
        # before those that it can read.
        context.queue.deliver(job_id, context.model, last=True)
        context.pause(UNREADABLE_PAUSE)
        return None
    if job.status is not JobStatus.QUEUED:
        # Canceled while it waited, or begun by a worker that found it in the order: the record has the last word.
        log.info("passed over: job %s is %s", job_id, job.status)
        return None
    if job.start_by < datetime.now(UTC):
        log.warning("job %s is left to the reaper: it should have been begun by %s", job_id, job.start_by)
        return None
    return job
