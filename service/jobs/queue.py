"""How a job reaches a worker: RQ carries its id and nothing else, as JSON, in one queue per model.

RQ is transport. That it holds, loses or repeats an id decides nothing: a worker acts on the record, a job that is no
longer `queued` there is passed over, and what RQ lost the reaper sends again. Each message has an id of its own, so
that RQ's tidying up after one never touches another of the same job.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Protocol, cast

import redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.executions import WORKER_EXECUTIONS_KEY_TEMPLATE
from rq.job import Job as Message
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker_registration import get_keys

from service.jobs.errors import QueueUnavailable
from service.jobs.model import Job

#: A name, not a function: the service must be able to ask for work it cannot import.
TASK = "worker.tasks.run_edit"
#: Seconds RQ keeps a message that was worked off, and one whose worker raised: the record says how the job ended, so
#: the first not at all, the second for whoever looks why. RQ's own defaults are 500 s and a year.
RESULT_TTL, FAILURE_TTL = 0, 3600
#: Seconds RQ keeps a message that nobody takes. One that goes while its job still waits is sent again by the reaper.
MESSAGE_TTL = 7 * 86_400
#: Seconds after which RQ calls a started message abandoned. Nothing interrupts a job at this point.
MESSAGE_TIMEOUT = 3600


class JobQueue(Protocol):
    """The way from the API to the workers of a model."""

    def enqueue(self, job: Job) -> None:
        """Hand a job to the workers of its model; raises `QueueUnavailable` and then holds nothing of it."""

    def hand_on(self, job_id: str, model: str) -> None:
        """The same for a job whose record cannot be read here."""

    def discard(self, job: Job) -> None:
        """Forget every message about a job, also one that a worker took and never finished."""

    def waiting(self, model: str) -> frozenset[str]:
        """Jobs of a model that are handed over and that no worker has taken."""

    def num_workers(self, model: str) -> int:
        """How many workers of a model are alive."""


@dataclass(frozen=True, kw_only=True)
class SeenWorker:
    """A worker as it last described itself.

    Attributes:
        state: RQ's word: "idle", "busy", "suspended".
        job_id: what it works on.
        last_seen: its last sign of life, as it wrote it.
    """

    name: str
    model: str
    state: str
    job_id: str | None
    host: str
    pid: str
    last_seen: str


class RqJobQueue:
    """`JobQueue` over RQ. The client must not decode responses: RQ reads bytes."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def enqueue(self, job: Job) -> None:
        self.hand_on(job.id, job.model)

    def hand_on(self, job_id: str, model: str) -> None:
        try:
            self._queue(model).enqueue_call(
                TASK,
                args=(job_id,),
                job_id=f"{job_id}-{token_hex(4)}",
                description=f"{TASK}({job_id})",
                timeout=MESSAGE_TIMEOUT,
                ttl=MESSAGE_TTL,
                result_ttl=RESULT_TTL,
                failure_ttl=FAILURE_TTL,
            )
        except redis.RedisError as error:
            raise QueueUnavailable from error

    def discard(self, job: Job) -> None:
        queue = self._queue(job.model)
        # Where RQ keeps what a worker has taken: first here, then there. It tidies up neither for an hour.
        taken, running = queue.intermediate_queue_key, StartedJobRegistry(queue=queue).key
        for message_id in {*self._messages(queue.key), *self._messages(taken)}:
            if job_of(message_id) == job.id:
                self._client.lrem(taken, 0, message_id)
                self._delete(message_id)
        for member in cast(list[bytes], self._client.zrange(running, 0, -1)):
            message_id = member.decode().partition(":")[0]
            if job_of(message_id) == job.id:
                self._client.zrem(running, member)
                self._delete(message_id)

    def waiting(self, model: str) -> frozenset[str]:
        return frozenset(map(job_of, self._messages(self._queue(model).key)))

    def _messages(self, key: str) -> list[str]:
        return [message.decode() for message in cast(list[bytes], self._client.lrange(key, 0, -1))]

    def _delete(self, message_id: str) -> None:
        with suppress(NoSuchJobError):
            Message.fetch(message_id, connection=self._client, serializer=JSONSerializer).delete()

    def num_workers(self, model: str) -> int:
        keys = get_keys(queue=self._queue(model))
        # A worker that was killed stays in the set; its own key expires.
        return self._client.exists(*keys) if keys else 0

    def workers(self) -> Sequence[SeenWorker]:
        """The workers of all models that are alive, by name."""
        names = sorted(get_keys(connection=self._client))
        return [seen for name in names if (seen := self._seen(name)) is not None]

    def _seen(self, key: str) -> SeenWorker | None:
        """A worker by its key; None where it is gone meanwhile."""
        said = {name.decode(): value.decode() for name, value in cast(dict, self._client.hgetall(key)).items()}
        if not said:
            return None
        name = key.rpartition(":")[2]
        taken = cast(set[bytes], self._client.smembers(WORKER_EXECUTIONS_KEY_TEMPLATE.format(name)))
        return SeenWorker(
            name=name,
            model=said.get("queues", "").removeprefix(queue_name("")),
            state=said.get("state", "unknown"),
            # RQ names what a worker has taken by the message and by an execution of its own.
            job_id=next((job_of(each.decode().partition(":")[0]) for each in taken), None),
            host=said.get("hostname", ""),
            pid=said.get("pid", ""),
            last_seen=said.get("last_heartbeat", ""),
        )

    def _queue(self, model: str) -> Queue:
        return Queue(queue_name(model), connection=self._client, serializer=JSONSerializer)


def job_of(message_id: str) -> str:
    """The job that a message is about."""
    return message_id.rpartition("-")[0]


def queue_name(model: str) -> str:
    """The queue that a model's workers listen on."""
    return f"edits:{model}"
