"""The one file that knows RQ's worker.

`SimpleWorker` works jobs off in its own process, where the model is; RQ's others fork, which CUDA does not survive,
or load the model anew for every job. Pinned to RQ 3.0; `tests/contract` holds what is overridden here.
"""

import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from time import sleep
from types import FrameType
from typing import cast
from uuid import uuid4

import redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker, worker_registration
from rq.executions import Execution
from rq.job import Job as Message
from rq.job import JobStatus as MessageStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.utils import now, utcformat
from rq.worker import WorkerStatus

from jobs.redis.message import job_of, queue_name
from jobs.redis.notes import Notes
from jobs.redis.queue import MESSAGE_AT_HAND, WORKER_KEPT, WORKER_TTL
from jobs.redis.together import Command, together
from worker.drain import Drain
from worker.edit_message import EditMessage
from worker.noting_queue import NotingQueue
from worker.taking import TURN, Taking

log = logging.getLogger(__name__)

#: What RQ raises over the fields of a message, which anyone who can write to Redis may have written.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, redis.ResponseError)
#: Seconds until it looks again after a message that could not be read.
PAUSE = 0.1
#: How long a sign of life stands for those that RQ would send after it; it sends three with every message.
SIGN = timedelta(seconds=5)


class CooperativeDeadline(BaseDeathPenalty):
    """No alarm: RQ's raises between any two bytecodes, also while attention processors are being exchanged.

    A deadline acts between two steps instead, where the engine's events are read.
    """

    def setup_death_penalty(self) -> None:
        """Nothing to arm."""

    def cancel_death_penalty(self) -> None:
        """Nothing to disarm."""


class GpuWorker(SimpleWorker):
    """Works off the queues of its models. Made once these can be served, so that a registered worker is a ready one.

    Args:
        busy: gives a block in which each message is worked off, with the jobs that join its job.
        notes: what it writes down of itself goes with its next message to Redis, over whichever client that is.
    """

    death_penalty_class = CooperativeDeadline
    job_class = EditMessage

    def __init__(
        self,
        taking: Taking,
        client: redis.Redis,
        drain: Drain,
        busy: Callable[[], AbstractContextManager] = nullcontext,
        notes: Notes | None = None,
    ) -> None:
        self.taking, self._drain, self._busy = taking, drain, busy
        self._notes = notes or Notes()
        self._looked_at = now() - SIGN
        self._model, self._done, self._seconds = taking.models[0], 0, 0.0
        self.queues: list[Queue]
        self._at_hand: EditMessage | None = None
        # A class of its own, because RQ looks for messages by a method of the class.
        queue_class = cast(type[NotingQueue], type("NotingQueue", (NotingQueue,), {"notes": self._notes}))
        # The class of messages is named as well: RQ's maintenance reads abandoned messages by that of the queue.
        self._queue_of = {
            model: queue_class(queue_name(model), connection=client, serializer=JSONSerializer, job_class=EditMessage)
            for model in taking.models
        }
        name = f"{'+'.join(taking.models)}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        super().__init__(
            list(self._queue_of.values()),
            name=name,
            connection=client,
            serializer=JSONSerializer,
            queue_class=queue_class,
            worker_ttl=WORKER_TTL,
        )

    @property
    def models(self) -> Sequence[str]:
        """Whose queues it works off."""
        return self.taking.models

    def subscribe(self) -> None:
        """Hear no commands: RQ would end this process, or kill its process group, for any client that publishes.

        A job is canceled by its record, and a worker is ended by a signal.
        """

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop once the job at hand is done or given back; a second signal, later than a second after, stops at once.

        RQ raises from the signal handler where it thinks itself idle, and so can drop a message that it has just
        taken. Here the signal only leaves a note.
        """
        self._shutdown_requested_date = now()
        self._stop_requested = True
        self._drain.ask()
        signal.signal(signal.SIGINT, self.request_force_stop)
        signal.signal(signal.SIGTERM, self.request_force_stop)

    def run_maintenance_tasks(self) -> None:
        """Look after what other workers left; a message that cannot be read is left, until the next time."""
        try:
            super().run_maintenance_tasks()
        except UNREADABLE as error:
            log.error("a message that cannot be read is left out of the maintenance: %s", type(error).__name__)
            self.last_cleaned_at = now()

    def execute_job(self, job: Message, queue: Queue) -> None:
        """Work a message off; one whose fields RQ cannot use is left, and the worker goes on."""
        try:
            with self._busy():
                super().execute_job(job, queue)
        except UNREADABLE as error:
            log.error("message %s cannot be worked off and is left: %s", job.id, type(error).__name__)

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Give a sign of life: among other commands, or with the next message to Redis where the last is `SIGN` ago.

        It always stands for `WORKER_TTL` and RQ's 60 s more. RQ would have it stand for an hour while a message is
        worked off: a worker that is killed meanwhile counts as alive for so long.
        """
        if pipeline is not None:
            for command in self._sign():
                pipeline.execute_command(*command)
        elif self._is_sign_due:
            for command in self._sign():
                self._notes.add(*command)

    def give_sign(self) -> None:
        """Give a sign of life at once, where the last is `SIGN` ago. Any thread may."""
        if self._is_sign_due:
            together(self.connection, self._sign())

    @property
    def _is_sign_due(self) -> bool:
        return self.last_heartbeat is None or now() - self.last_heartbeat >= SIGN

    def _sign(self) -> Sequence[Command]:
        self.last_heartbeat = now()
        told = utcformat(self.last_heartbeat)
        return ("HSET", self.key, "last_heartbeat", told), ("EXPIRE", self.key, WORKER_KEPT)

    def check_for_suspension(self, burst: bool) -> None:
        """Look whether workers are suspended (`rq suspend`), as often as a sign of life is given."""
        if burst or now() - self._looked_at >= SIGN:
            super().check_for_suspension(burst)
            self._looked_at = now()

    def set_state(self, state: str, pipeline: Pipeline | None = None) -> None:
        """Write down what it does, where that is something else."""
        if pipeline is not None or state != self._state:
            super().set_state(state, pipeline)

    def handle_execution_ended(self, job: Message, queue: Queue, heartbeat_ttl: int) -> None:
        """Note when a message was worked off; it needs no sign of life any more."""
        job.ended_at = now()

    def handle_job_success(
        self, job: Message, queue: Queue, started_job_registry: StartedJobRegistry, execution: Execution
    ) -> None:
        """Note that a message was worked off, as the next one is asked for; it was forgotten when it was begun.

        RQ looks for messages that depend on it, for its group and for its rate limit, over a connection more. Ours
        have none of these (`jobs.redis.message`).
        """
        assert job.started_at
        assert job.ended_at
        self._done += 1
        self._seconds += (job.ended_at - job.started_at).total_seconds()
        said = ("state", WorkerStatus.IDLE, "successful_job_count", self._done, "total_working_time", self._seconds)
        self._notes.add("HSET", self.key, *said)
        self._state, job._status = WorkerStatus.IDLE, MessageStatus.FINISHED

    def prepare_execution(self, job: Message) -> Execution:
        """Name what follows. RQ would keep an execution in four places; of ours the record has one, with a lease."""
        return Execution(uuid4().hex, job.id, self.connection)

    def cleanup_execution(self, job: Message, pipeline: Pipeline, execution: Execution | None = None) -> None:
        """There is nothing that `prepare_execution` has written."""

    def handle_job_failure(
        self,
        job: Message,
        queue: Queue,
        started_job_registry: StartedJobRegistry | None = None,
        exc_string: str = "",
        execution: Execution | None = None,
    ) -> None:
        """Keep a message that was refused, for people who look why: after the note that forgets it."""
        self._notes.sent_with(self.connection)
        super().handle_job_failure(job, queue, started_job_registry, exc_string, execution)

    def prepare_job_execution(self, job: Message, remove_from_intermediate_queue: bool = False) -> None:
        """Note which message is worked on and forget it, as its job is begun: from there on the job's record decides.

        It was moved, whatever RQ thinks of a worker with several queues. Where this worker is killed before it begins
        the job, the reaper finds that the job waits without a message.
        """
        self._at_hand = cast(EditMessage, job)
        # It was read with the message whether workers are suspended: where they are, it looks as soon as it may.
        self._looked_at = now() - (SIGN if self._at_hand.is_suspended else timedelta(0))
        self.heartbeat()
        self._notes.add("HSET", self.key, "state", WorkerStatus.BUSY, MESSAGE_AT_HAND, job.id)
        self._notes.add("LREM", self._queue_of[self._model].intermediate_queue_key, 1, job.id)
        self._notes.add("DEL", job.key)
        self._state = WorkerStatus.BUSY

    def record_of(self, job_id: str) -> Mapping[str, str] | None:
        """A job's record as it was read with the message at hand, where that is the job's."""
        at_hand = self._at_hand
        return at_hand.record if at_hand is not None and job_of(at_hand.id) == job_id else None

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Message, Queue] | None:
        """The next message, or None once a signal has come; waits in turns, so that a stop is never far."""
        is_burst = timeout is None  # whatever is there, and no waiting
        while not self._stop_requested:
            try:
                model = self.taking.ready(self.give_sign)
                self._register_served()
                if self._stop_requested:  # it may have come while a model was loaded
                    return None
                if model is None:
                    if is_burst:
                        return None
                    self._idle()
                    self.taking.wait(TURN)
                    continue
                # From exactly one queue RQ moves a message instead of popping it, so that a crash does not lose it.
                self._ordered_queues = [self._queue_of[model]]
                waits = self.taking.may_block and not is_burst
                taken = super().dequeue_job_and_maintain_ttl(*((TURN, TURN) if waits else (None, max_idle_time)))
            except UNREADABLE as error:
                # RQ reads each field of a message before it is ours, and ends the worker over one that it cannot read.
                log.error("a message that cannot be read is left out: %s", type(error).__name__)
                if not is_burst:
                    sleep(PAUSE)
                continue
            except (redis.ConnectionError, redis.TimeoutError) as error:  # of `ready`; RQ waits for its own calls
                log.error("Redis cannot be reached, and is asked again: %s", error)
                sleep(TURN)
                continue
            if taken:
                self._model = model
                self.taking.took(model)
                return taken
            if is_burst and self.taking.may_block:
                return None
        return None

    def _idle(self) -> None:
        """What RQ does in a turn that finds no message."""
        self.set_state(WorkerStatus.IDLE)
        self.heartbeat()
        self._notes.sent_with(self.connection)
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()

    def _register_served(self) -> None:
        """Counts as a worker of those models alone that it can serve."""
        served = [queue for model, queue in self._queue_of.items() if model in self.taking.served]
        if served == self.queues:
            return
        before = self.queues
        with self.connection.pipeline() as pipeline:
            worker_registration.unregister(self, pipeline)
            self.queues = served
            worker_registration.register(self, pipeline)
            pipeline.hset(self.key, "queues", ",".join(self.queue_names()))
            try:
                pipeline.execute()
            except redis.RedisError:
                self.queues = before
                raise
