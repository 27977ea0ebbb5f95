"""The log of an edit's or batch's deliveries, as the API reads it, and the request to send once more.

The log is kept beside the record and ends with it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, cast

import redis.asyncio
from pydantic import Field

from jobs.batches import Batch
from jobs.errors import BatchNotFound, JobNotFound
from jobs.model import Job, Record
from jobs.redis import keys
from jobs.redis.lua import lua
from jobs.redis.replicated import Replicated
from process.error_codes import Place, listed
from webhooks.schedule import Outcome


class Attempt(Record):
    """One attempt to send a webhook."""

    attempt: int = Field(description="Which one it was, from 1.")
    at: datetime = Field(description="When it began.")
    seconds: float = Field(description="How long it took.")
    status: int | None = Field(None, description="Of the receiver's answer; null where there was none.")
    error: str | None = Field(
        None,
        description="Why there was none: `timeout`, `connection_failed` or `no_public_address`; stable.",
        json_schema_extra=listed(Place.DELIVERY),
    )
    outcome: Outcome = Field(
        description="`retrying`: another attempt follows. `disabled`: the receiver answered 410. "
        "`given_up`: it was the schedule's last."
    )


class Deliveries(Protocol):
    """What is known of the deliveries of jobs and batches."""

    async def attempts(self, of: Job | Batch) -> tuple[Attempt, ...]:
        """The latest attempts, the oldest first."""

    async def next_at(self, of: Job | Batch) -> datetime | None:
        """When the next attempt is due; None if none is."""

    async def send_again(self, of: Job | Batch) -> None:
        """Send a webhook at once, whatever was before; raises `JobNotFound`, `BatchNotFound`."""


class RedisDeliveries:
    """`Deliveries` over an asyncio client made with `decode_responses=True`."""

    def __init__(self, client: redis.asyncio.Redis, writes: Replicated | None = None) -> None:
        self._client = client
        self._again = (writes or Replicated(client)).script(lua("again", Path(__file__).with_name("lua")))

    async def attempts(self, of: Job | Batch) -> tuple[Attempt, ...]:
        lines = cast(list[str], await self._client.lrange(keys.deliveries(of.subject), 0, -1))
        return tuple(Attempt.model_validate_json(line) for line in lines)

    async def next_at(self, of: Job | Batch) -> datetime | None:
        when = await self._client.zscore(keys.DUE, of.subject)
        return None if when is None else datetime.fromtimestamp(when / 1000, UTC)

    async def send_again(self, of: Job | Batch) -> None:
        names = [keys.record_of(of.subject), keys.OUTBOX, keys.DUE, keys.telling(of.subject)]
        kind, status = ("job", of.status) if isinstance(of, Job) else ("batch", "ended")
        if not await self._again(names, [of.subject, kind, of.id, status]):
            raise JobNotFound(of.id) if isinstance(of, Job) else BatchNotFound(of.id)
