"""How a job reaches a worker: RQ carries its id and nothing else, as JSON, in one queue per model.

RQ is transport. That it holds, loses or repeats an id decides nothing: a worker acts on the record, and a job that is
no longer `queued` there is passed over.
"""

from typing import Protocol

import redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job as Message
from rq.serializers import JSONSerializer
from rq.worker_registration import get_keys

from service.jobs.errors import QueueUnavailable
from service.jobs.model import Job

#: A name, not a function: the service must be able to ask for work it cannot import.
TASK = "worker.tasks.run_edit"
#: Seconds RQ keeps a message that was worked off, and one whose worker raised: the record says how the job ended, so
#: the first not at all, the second for whoever looks why. RQ's own defaults are 500 s and a year.
RESULT_TTL, FAILURE_TTL = 0, 3600
#: Seconds after which RQ calls a started message abandoned. Nothing interrupts a job at this point.
MESSAGE_TIMEOUT = 3600


class JobQueue(Protocol):
    """The way from the API to the workers of a model."""

    def enqueue(self, job: Job) -> None:
        """Hand a job to the workers of its model; raises `QueueUnavailable` and then holds nothing of it."""

    def discard(self, job: Job) -> None:
        """Take a job back that no worker has taken yet, if it is there."""

    def num_workers(self, model: str) -> int:
        """How many workers of a model are alive."""


class RqJobQueue:
    """`JobQueue` over RQ. The client must not decode responses: RQ reads bytes."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def enqueue(self, job: Job) -> None:
        try:
            self._queue(job.model).enqueue_call(
                TASK,
                args=(job.id,),
                job_id=job.id,
                description=f"{TASK}({job.id})",
                timeout=MESSAGE_TIMEOUT,
                ttl=max(1, int(job.lifetime.total_seconds())),
                result_ttl=RESULT_TTL,
                failure_ttl=FAILURE_TTL,
            )
        except redis.RedisError as error:
            raise QueueUnavailable from error

    def discard(self, job: Job) -> None:
        try:
            message = Message.fetch(job.id, connection=self._client, serializer=JSONSerializer)
        except NoSuchJobError:
            return
        message.delete()

    def num_workers(self, model: str) -> int:
        keys = get_keys(queue=self._queue(model))
        # A worker that was killed stays in the set; its own key expires.
        return self._client.exists(*keys) if keys else 0

    def _queue(self, model: str) -> Queue:
        return Queue(queue_name(model), connection=self._client, serializer=JSONSerializer)


def queue_name(model: str) -> str:
    """The queue that a model's workers listen on."""
    return f"edits:{model}"
