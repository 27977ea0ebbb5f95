"""The queues as RQ keeps them: one a model, of messages that say whose turn it is.

RQ is transport. That it holds, loses or repeats a message decides nothing: a worker acts on the record, a job that is
no longer `queued` there is passed over, and what RQ lost the reaper sends again.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, cast

import redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.executions import WORKER_EXECUTIONS_KEY_TEMPLATE
from rq.job import Job as RqJob
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker_registration import get_keys

from jobs.model import Job
from jobs.redis import keys
from jobs.redis.lua import lua
from jobs.redis.message import job_of, message_about, queue_name

#: Seconds that a worker's key is kept after its last sign of life: RQ adds a minute to what it is given.
WORKER_TTL = 30
WORKER_KEPT = WORKER_TTL + 60
#: Seconds after its last sign of life in which a worker still counts. Idle or loading a model it gives one every few
#: seconds, with a job every third of its lease: 3.3 s by default, and 45 s where LEASE is 135.
WORKER_COUNTS = 45
#: Field of a worker's hash: the message that it works on while its state is "busy".
MESSAGE_AT_HAND = "message_at_hand"
#: Messages of a queue in which old ones of a job are looked for.
AT_ONCE = 1000


class JobQueue(Protocol):
    """The way from the records to the workers of a model."""

    def deliver(self, job_id: str, model: str, *, last: bool = False, lost: bool = False) -> bool:
        """Send a waiting job's message anew, also where its record cannot be read here; says whether it was sent.

        Args:
            last: behind all others; else its turn stays as it was.
            lost: only if the queue holds none of it, for another reaper may have sent it meanwhile.
        """

    def discard(self, job: Job) -> None:
        """Forget every message about a job but the one its record names, where workers come upon it soon.

        One that stands far behind is passed over by the worker that takes it.
        """

    def num_workers(self, model: str) -> int:
        """How many workers of a model are alive."""


@dataclass(frozen=True, kw_only=True)
class SeenWorker:
    """A worker as it last described itself.

    Attributes:
        models: that it can serve.
        state: RQ's word: "idle", "busy", "suspended".
        job_id: what it works on.
        last_seen: its last sign of life, as it wrote it.
    """

    name: str
    models: Sequence[str]
    state: str
    job_id: str | None
    host: str
    pid: str
    last_seen: str


class RqJobQueue:
    """`JobQueue` over RQ. The client must not decode responses: RQ reads bytes."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._deliver = client.register_script(lua("deliver"))

    def deliver(self, job_id: str, model: str, *, last: bool = False, lost: bool = False) -> bool:
        message = message_about(job_id, model)
        names = [keys.record(job_id), keys.order(model), message.list, keys.leases(model)]
        how = "last" if last else "lost" if lost else ""
        return bool(self._deliver(names, [message.id, how, *message.fields]))

    def discard(self, job: Job) -> None:
        queue = self._queue(job.model)
        # Where RQ keeps what a worker has taken: first here, then there. It tidies up neither for an hour.
        taken, running = queue.intermediate_queue_key, StartedJobRegistry(queue=queue).key
        first = self._messages(queue.key, AT_ONCE)
        for message_id in {*first, *self._messages(taken)} - {job.message}:
            if job_of(message_id) == job.id:
                self._client.lrem(taken, 0, message_id)
                self._delete(message_id)
        for member in cast(list[bytes], self._client.zrange(running, 0, -1)):
            message_id = member.decode().partition(":")[0]
            if job_of(message_id) == job.id:
                self._client.zrem(running, member)
                self._delete(message_id)

    def _messages(self, key: str, most: int = 0) -> list[str]:
        return [message.decode() for message in cast(list[bytes], self._client.lrange(key, 0, most - 1))]

    def _delete(self, message_id: str) -> None:
        # RQ's ValueError: a worker ended with it between two of RQ's reads, and has removed it then.
        with suppress(NoSuchJobError, ValueError):
            RqJob.fetch(message_id, connection=self._client, serializer=JSONSerializer).delete()

    def num_workers(self, model: str) -> int:
        # A worker that was killed stays in the set; its own key expires, and by how soon it does Redis itself says how
        # long ago the last sign of life came, whatever the time is elsewhere.
        with self._client.pipeline(transaction=False) as pipeline:
            for name in get_keys(queue=self._queue(model)):
                pipeline.ttl(name)
            return sum(left >= WORKER_KEPT - WORKER_COUNTS for left in pipeline.execute())

    def workers(self) -> Sequence[SeenWorker]:
        """The workers of all models that are alive, by name."""
        names = sorted(get_keys(connection=self._client))
        return [seen for name in names if (seen := self._seen(name)) is not None]

    def _seen(self, key: str) -> SeenWorker | None:
        """A worker by its key; None if it is gone meanwhile."""
        said = {name.decode(): value.decode() for name, value in cast(dict, self._client.hgetall(key)).items()}
        if not said:
            return None
        name = key.rpartition(":")[2]
        at_hand = said.get(MESSAGE_AT_HAND) if said.get("state") == "busy" else None
        # Workers of the version before: RQ names what they have taken by the message and by an execution of its own.
        taken = cast(set[bytes], self._client.smembers(WORKER_EXECUTIONS_KEY_TEMPLATE.format(name)))
        return SeenWorker(
            name=name,
            models=[queue.removeprefix(queue_name("")) for queue in said.get("queues", "").split(",") if queue],
            state=said.get("state", "unknown"),
            job_id=next(
                (job_of(each) for each in [at_hand, *(one.decode().partition(":")[0] for one in taken)] if each), None
            ),
            host=said.get("hostname", ""),
            pid=said.get("pid", ""),
            last_seen=said.get("last_heartbeat", ""),
        )

    def _queue(self, model: str) -> Queue:
        return Queue(queue_name(model), connection=self._client, serializer=JSONSerializer)
