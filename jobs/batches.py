"""Batches: edits that were accepted together, and the one end that they have in common.

A batch is a hash beside its jobs' records: `about` (what never changes, as JSON), `left` (how many of its jobs have not
ended) and, by a job's id, the state that the job ended in. The very turn of Redis that ends a job writes that state and
takes one off `left` (`jobs/redis/lua/move.lua`), and an end is written once; so exactly one turn takes the last one
off, and puts the batch into the outbox. A job names its batch itself: no move can forget it. What becomes of a job's
record afterwards does not matter to the batch, which is kept for as long as the job that ended last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, cast, get_args
from uuid import uuid4

import redis.asyncio
from pydantic import Field

from jobs.errors import BatchNotFound
from jobs.labels import Labels
from jobs.model import EVENT_NAMES, EventName, Job, JobStatus, Notice, Record, Webhook
from jobs.redis import keys
from jobs.redis.lua import lua
from process.cell import cell_of, in_cell

#: How many edits one batch may have: its message stays below the 20 kB that Standard Webhooks asks for.
MAX_EDITS = 64

BatchEventName = Literal["batch.ended"]
#: What the webhook of a batch can get: its own end, and the end of each of its edits.
AnyEventName = Literal[BatchEventName, EventName]
BATCH_EVENT_NAMES: tuple[AnyEventName, ...] = (*get_args(BatchEventName), *EVENT_NAMES)


class BatchWebhook(Record):
    """The webhook of a batch's end, and of the ends of those of its edits that name none."""

    url: str
    events: tuple[AnyEventName, ...] = ("batch.ended",)

    def of_edits(self) -> Webhook | None:
        """The webhook of an edit that names none of its own."""
        events = tuple(event for event in EVENT_NAMES if event in self.events)
        return Webhook(url=self.url, events=events) if events else None


class Batch(Record):
    """Edits that were accepted together."""

    id: str
    owner: str
    created_at: datetime
    edits: tuple[str, ...]
    # Of batches of older versions there are none.
    seeds: tuple[int | tuple[int, ...], ...] = Field((), description="Each edit's seed, or its seeds.")
    traceparent: str | None = None
    webhook: BatchWebhook | None = None
    notices: tuple[Notice, ...] = ()
    labels: Labels | None = None

    @property
    def subject(self) -> str:
        """What the outbox calls it."""
        return keys.batch(self.id)


@dataclass(frozen=True, kw_only=True)
class BatchStanding:
    """A batch as it stands.

    Attributes:
        statuses: of each of its edits, in their order; also of those that are erased since.
        finished_at: when the last of them ended; None before.
        expires_at: when it is forgotten, from its end on.
    """

    batch: Batch
    statuses: Mapping[str, JobStatus]
    finished_at: datetime | None = None
    expires_at: datetime | None = None

    def counts(self) -> Mapping[JobStatus, int]:
        """How many of its edits are in each of the states, 0 included."""
        found = list(self.statuses.values())
        return {status: found.count(status) for status in JobStatus}


class Batches(Protocol):
    """The batches that are kept."""

    async def get(self, batch_id: str) -> BatchStanding:
        """The batch; raises `BatchNotFound`."""


class RedisBatches:
    """`Batches` over an asyncio client made with `decode_responses=True`."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._look = client.register_script(lua("look"))

    async def get(self, batch_id: str) -> BatchStanding:
        answer = cast(Any, await self._look([keys.batch(batch_id)]))
        if not answer:
            raise BatchNotFound(batch_id)
        about, finished_at, expires_at, *statuses = answer
        batch = Batch.model_validate_json(about)
        return BatchStanding(
            batch=batch,
            statuses={edit: JobStatus(status) for edit, status in zip(batch.edits, statuses, strict=True)},
            finished_at=_moment(finished_at),
            expires_at=_moment(expires_at),
        )


def gathered(
    jobs: Sequence[Job],
    webhook: BatchWebhook | None = None,
    notices: tuple[Notice, ...] = (),
    labels: Labels | None = None,
) -> tuple[Batch, Sequence[Job]]:
    """New jobs of one owner, at least one, as a batch with an id nobody can guess; the jobs then name it."""
    batch = Batch(
        id=in_cell(cell_of(jobs[0].id) or "", uuid4().hex),
        owner=jobs[0].owner,
        created_at=datetime.now(UTC),
        edits=tuple(job.id for job in jobs),
        seeds=tuple(job.spec.sampling.seeds or job.spec.seeds[0] for job in jobs),
        traceparent=jobs[0].traceparent,
        webhook=webhook,
        notices=notices,
        labels=labels,
    )
    return batch, [job.model_copy(update={"batch": batch.id}) for job in jobs]


def _moment(milliseconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None
