"""How every model's queue stands, read from the indexes beside the records: for metrics and for operators."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import redis

from jobs.errors import JobNotFound, NewerRecord
from jobs.model import Job
from jobs.redis import keys
from jobs.redis.queue import JobQueue
from jobs.redis.store import RedisJobStore


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One model's queue.

    Attributes:
        waiting: queued jobs.
        running: jobs that a worker has.
        oldest_wait: seconds that the job has waited which must be begun before all others; 0 where none waits. Where
            all jobs may wait as long as each other, that is the oldest one.
        workers: alive.
    """

    model: str
    waiting: int
    running: int
    oldest_wait: float
    workers: int


class Backlog:
    """The queues of all models.

    Args:
        client: made with `decode_responses=True`.
        offered: models that are shown even where no job was ever made for them.
    """

    def __init__(self, client: redis.Redis, queue: JobQueue, offered: Iterable[str] = ()) -> None:
        self._client, self._queue = client, queue
        self.offer(offered)
        self._store = RedisJobStore(client)

    def offer(self, models: Iterable[str]) -> None:
        """Shows these models from now on, also where no job was ever made for them."""
        self._offered = frozenset(models)

    def standings(self) -> Sequence[Standing]:
        """Every model's, by name; raises a `redis.RedisError` where Redis does not answer."""
        models = self._offered | cast(set[str], self._client.smembers(keys.MODELS))
        return [self._standing(model) for model in sorted(models)]

    def _standing(self, model: str) -> Standing:
        with self._client.pipeline(transaction=True) as commands:
            commands.zcard(keys.waiting(model))
            commands.zcard(keys.leases(model))
            commands.zrange(keys.waiting(model), 0, 0)
            waiting, running, first = commands.execute()
        return Standing(
            model=model,
            waiting=waiting,
            running=running,
            oldest_wait=self._waited(first[0]) if first else 0.0,
            workers=self._queue.num_workers(model),
        )

    def _waited(self, job_id: str) -> float:
        try:
            return seconds_waited(self._store.get(job_id), datetime.now(UTC))
        except (JobNotFound, NewerRecord):  # it has just gone, or only a newer version knows
            return 0.0


def seconds_waited(job: Job, now: datetime) -> float:
    """How long a queued job has waited since it was queued last: a job that was given back waits anew."""
    return max(0.0, (now - (job.start_by - job.queue_limit)).total_seconds())
