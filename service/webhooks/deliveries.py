"""The log of a job's deliveries, as the API reads it, and the request to send once more.

The log is kept beside the record and ends with it.
"""

from datetime import UTC, datetime
from typing import Protocol, cast

import redis.asyncio
from pydantic import Field

from service.jobs import keys
from service.jobs.errors import JobNotFound
from service.jobs.model import Job, Record
from service.webhooks import scripts
from service.webhooks.schedule import Outcome


class Attempt(Record):
    """One attempt to tell of a job's end."""

    attempt: int = Field(description="Which one it was, from 1.")
    at: datetime = Field(description="When it began.")
    seconds: float = Field(description="How long it took.")
    status: int | None = Field(None, description="Of the receiver's answer; null where there was none.")
    error: str | None = Field(
        None,
        description="Why there was none: `timeout`, `connection_failed` or `no_public_address`; stable.",
    )
    outcome: Outcome = Field(
        description="`retrying`: another attempt follows. `disabled`: the receiver answered 410. "
        "`given_up`: it was the schedule's last."
    )


class Deliveries(Protocol):
    """What is known of the deliveries of jobs."""

    async def attempts(self, job: Job) -> tuple[Attempt, ...]:
        """The latest attempts, the oldest first."""

    async def next_at(self, job: Job) -> datetime | None:
        """When the next attempt is due; None where none is."""

    async def send_again(self, job: Job) -> None:
        """Have the end of a job told at once, whatever was before; raises `JobNotFound`."""


class RedisDeliveries:
    """`Deliveries` over an asyncio client made with `decode_responses=True`."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._again = client.register_script(scripts.AGAIN)

    async def attempts(self, job: Job) -> tuple[Attempt, ...]:
        lines = cast(list[str], await self._client.lrange(keys.deliveries(job.id), 0, -1))
        return tuple(Attempt.model_validate_json(line) for line in lines)

    async def next_at(self, job: Job) -> datetime | None:
        when = await self._client.zscore(keys.DUE, job.id)
        return None if when is None else datetime.fromtimestamp(when / 1000, UTC)

    async def send_again(self, job: Job) -> None:
        names = [keys.record(job.id), keys.OUTBOX, keys.DUE, keys.telling(job.id)]
        if not await self._again(names, [job.id, job.status]):
            raise JobNotFound(job.id)
