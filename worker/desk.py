"""One job at a worker: its publisher, execution, lease, deadline and log, alone or among others."""

import logging
import time
from collections.abc import Generator, Iterator
from contextvars import copy_context
from datetime import timedelta
from enum import Enum, auto
from functools import partial

import redis

from jobs.errors import IllegalTransition, JobNotFound, StorageUnavailable
from jobs.model import Job
from process.logs import bind
from process.trace import Trace
from worker.context import WorkerContext
from worker.drain import Pace
from worker.engine import DeviceLost, Engine
from worker.events import Canceled, Drawn, Event, Failed, HandedBack, Progress, Started, Waiting
from worker.kept_sources import kept_source
from worker.lease import Lease, Leases
from worker.observed import observed
from worker.photo import image_from
from worker.publishing import Publisher
from worker.usage import Meter

log = logging.getLogger(__name__)


class State(Enum):
    """Where a job stands when its desk puts it down."""

    WAITING = auto()  #: for the next turn
    DRAWN = auto()  #: it needs the model no more
    OVER = auto()  #: it has ended, or is not this worker's


class Desk:
    """Works one job off, in pieces. Used by one thread at a time.

    How the job ended is in its record; nothing is raised for what went wrong inside it.

    Args:
        engine: what the job runs on, alone or among others.
        beside: whether the job was found in the order, and not by its message.

    Attributes:
        is_begun: whether the job became this execution's.
    """

    def __init__(
        self, job: Job, context: WorkerContext, engine: Engine, leases: Leases, *, beside: bool = False
    ) -> None:
        self._context, self._leases = context, leases
        self._lease: Lease | None = None
        meter = Meter(job.spec)
        self._publisher = Publisher(
            job,
            context.store,
            context.storage,
            context.sources,
            lease=context.lease,
            judge=engine.judge,
            marking=engine.marking,
            beside=beside,
            meter=meter,
        )
        job = self._publisher.job
        self._log = copy_context()
        self._log.run(bind, job_id=job.id, model=context.model, **_about(job))
        find = partial(kept_source, job.owner, sources=context.sources, storage=context.storage)
        self._events = observed(engine.run(job, find, image_from(context.storage), meter=meter), job)
        self._wanted = _until_unwanted(self._events, self._publisher, context)
        self.is_begun = False

    @property
    def job(self) -> Job:
        """As this execution has begun it."""
        return self._publisher.job

    def to_its_end(self) -> None:
        """Works the job off whole."""
        while self.advance() is not State.OVER:
            pass

    def advance(self) -> State:
        """Works on the job until it waits for a turn, has its pictures, or is over."""
        return self._log.run(self._advance)

    def _advance(self) -> State:
        state = State.OVER
        if self._lease is not None:
            self._lease.got_on()  # its turn has come
        try:
            state = self._worked()
        except (IllegalTransition, JobNotFound) as reason:
            # Canceled while it waited, or over, or somebody else's: the record has the last word.
            log.info("passed over: %s", reason)
            self._publisher.discard()
        except DeviceLost:
            log.critical(
                "job %s: the device is lost; this process ends, and the job is tried again", self.job.id, exc_info=True
            )
            self._context.give_up()
        except redis.RedisError:
            # Nothing can be written down: the lease runs out, and the reaper has the job tried again.
            log.exception("job %s: Redis was lost on the way", self.job.id)
        finally:
            if state is State.OVER:
                self._put_away()
        return state

    def _worked(self) -> State:
        try:
            for event in self._wanted:
                self._publisher.handle(event)
                self._note(event)
                if isinstance(event, Waiting):
                    return State.WAITING
                if isinstance(event, Drawn):
                    return State.DRAWN
        except (IllegalTransition, JobNotFound, DeviceLost, redis.RedisError):
            raise
        except StorageUnavailable as error:
            log.exception("job %s: an artifact was not stored", self.job.id)
            message = "the results could not be stored: send the edit again"
            self._publisher.handle(Failed(code=error.code, message=message))
        except Exception:
            log.exception("job %s could not be published", self.job.id)
            message = "something failed here: send the edit again"
            self._publisher.handle(Failed(code="internal_error", message=message))
        return State.OVER

    def _note(self, event: Event) -> None:
        if isinstance(event, Started):  # the job is this execution's from here on
            self.is_begun, patience = True, self._context.patience
            self._lease = self._leases.hold(
                self.job,
                first_step=timedelta(seconds=patience.first_step_seconds),
                step=timedelta(seconds=patience.step_seconds),
                report=self._publisher.report,
            )
        elif self._lease is not None:
            if isinstance(event, Progress):
                self._lease.step_ended()
            elif isinstance(event, Waiting | Drawn):
                self._lease.wait()
            else:
                self._lease.got_on()
        self._leases.got_on()

    def _put_away(self) -> None:
        """Its rows are free, and the model's own attention is in place, wherever it stopped."""
        self._wanted.close()
        self._events.close()
        if self._lease is not None:
            self._leases.leave(self._lease)


def _about(job: Job) -> dict[str, object]:
    """What every line that is logged about an execution says beside the job's id and model."""
    trace = Trace.parse(job.traceparent)
    of_trace = {} if trace is None else {"trace_id": trace.trace_id}
    return {"execution": job.execution, "attempt": job.attempt, "key_id": job.owner, **of_trace}


def _until_unwanted(
    events: Iterator[Event], publisher: Publisher, context: WorkerContext
) -> Generator[Event, None, None]:
    """The events of a job, cut short where it is no longer wanted, takes too long, or the worker is to end."""
    began, pace = time.monotonic(), Pace()
    for event in events:
        yield event
        if not isinstance(event, Progress):
            continue
        if publisher.is_unwanted:
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
