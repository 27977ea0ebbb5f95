"""What a webhook says: that an edit has ended, or the last of a batch, how, and where it is. No pictures."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict, JsonValue

from jobs.batches import Batch, BatchEventName, BatchStanding
from jobs.model import EventName, Job, JobStatus, Record
from jobs.usage import JobUsage
from process.error_codes import Place, listed
from process.trace import Trace

#: What the type of a message is, by the end it is about.
EVENTS: Mapping[JobStatus, EventName] = {
    JobStatus.SUCCEEDED: "edit.succeeded",
    JobStatus.FAILED: "edit.failed",
    JobStatus.CANCELED: "edit.canceled",
    JobStatus.EXPIRED: "edit.expired",
}


class EndedLinks(BaseModel):
    """Where the edit or batch is, at the API that it was sent to."""

    self: str


class EndedError(BaseModel):
    """Why the edit failed."""

    code: str = Field(
        description="Stable; docs/errors.md says what each means.", json_schema_extra=listed(Place.FAILURE)
    )


class EndedEdit(BaseModel):
    """An edit that has ended."""

    id: str
    status: Literal["succeeded", "failed", "canceled", "expired"]
    links: EndedLinks
    error: EndedError | None = Field(None, description="Of a failed edit only.")
    usage: JobUsage | None = Field(
        None, description="What it used, all attempts together; absent where no step was done, and in a batch's."
    )


_EDIT, _BATCH = "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "c3d2e1f00f1e2d3c4b5a69788796a5b4"


def _example(event: str, **data: JsonValue) -> JsonDict:
    return {"examples": [{"type": event, "timestamp": "2026-01-31T12:00:00Z", "data": data}]}


def _edit_example(status: str) -> JsonDict:
    return {"id": _EDIT, "status": status, "links": {"self": f"/v1/edits/{_EDIT}"}}


class EditEnded(BaseModel):
    """The message: the body of a webhook."""

    model_config = ConfigDict(
        json_schema_extra=_example("edit.failed", **_edit_example("failed"), error={"code": "out_of_memory"})
    )

    type: EventName
    timestamp: datetime = Field(description="When the edit ended; the same in every attempt.")
    data: EndedEdit


class EndedCounts(BaseModel):
    """How many of a batch's edits came to each end."""

    succeeded: int
    failed: int
    canceled: int
    expired: int


class EndedBatch(BaseModel):
    """A batch whose edits have all ended."""

    id: str
    counts: EndedCounts
    edits: tuple[EndedEdit, ...] = Field(description="In the order in which they were posted.")
    links: EndedLinks


class BatchEnded(BaseModel):
    """The message about a batch."""

    model_config = ConfigDict(
        json_schema_extra=_example(
            "batch.ended",
            id=_BATCH,
            counts={"succeeded": 1, "failed": 0, "canceled": 0, "expired": 0},
            edits=[_edit_example("succeeded")],
            links={"self": f"/v1/batches/{_BATCH}"},
        )
    )

    type: BatchEventName
    timestamp: datetime = Field(description="When its last edit ended; the same in every attempt.")
    data: EndedBatch


class Message(Record):
    """A message on its way.

    Attributes:
        id: `webhook-id`, the same over every attempt: what a receiver knows a repetition by.
        job, batch: what it is about, one of the two.
        url: the job's or batch's own webhook; None for the installation's, whatever that is when an attempt is made.
        traceparent: the request's trace, with a span of the message's own.
        body: as it is sent and signed, in every attempt.
    """

    id: str
    job: str | None = None
    batch: str | None = None
    owner: str
    url: str | None
    traceparent: str | None
    body: str


def message_about(job: Job, *, prefix: str = "") -> Message:
    """The message about a job that has ended; `prefix` stands before the path of each link."""
    error = None if job.error is None else EndedError(code=job.error.code)
    ended = EditEnded(
        type=EVENTS[job.status],
        timestamp=job.finished_at or datetime.now(UTC),
        data=_ended_edit(job.id, job.status, prefix, error, job.usage),
    )
    return _message(f"{job.id}-{job.status}", job, ended, job=job.id)


def message_about_batch(standing: BatchStanding, *, prefix: str = "") -> Message:
    """The message about a batch whose edits have all ended."""
    batch = standing.batch
    counts = {status: count for status, count in standing.counts().items() if status.is_terminal}
    ended = BatchEnded(
        type="batch.ended",
        timestamp=standing.finished_at or datetime.now(UTC),
        data=EndedBatch(
            id=batch.id,
            counts=EndedCounts.model_validate(counts),
            edits=tuple(_ended_edit(edit, status, prefix) for edit, status in standing.statuses.items()),
            links=EndedLinks(self=f"{prefix}/v1/batches/{batch.id}"),
        ),
    )
    return _message(f"{batch.id}-ended", batch, ended, batch=batch.id)


def _ended_edit(
    edit: str, status: JobStatus, prefix: str, error: EndedError | None = None, usage: JobUsage | None = None
) -> EndedEdit:
    links = EndedLinks(self=f"{prefix}/v1/edits/{edit}")
    return EndedEdit.model_validate({"id": edit, "status": status, "links": links, "error": error, "usage": usage})


def _message(name: str, about: Job | Batch, ended: BaseModel, **subject: str) -> Message:
    trace = Trace.parse(about.traceparent)
    return Message.model_validate(
        {
            "id": name,
            "owner": about.owner,
            "url": about.webhook.url if about.webhook else None,
            "traceparent": trace and trace.child().header,
            "body": ended.model_dump_json(exclude_none=True),
            **subject,
        }
    )


def is_batch_wanted(batch: Batch, *, by_installation: bool) -> bool:
    """Whether any webhook wants a batch's end: its own webhook, else the installation's."""
    return by_installation if batch.webhook is None else "batch.ended" in batch.webhook.events


def is_wanted(job: Job, *, by_installation: bool) -> bool:
    """Whether any webhook wants a job's end: the job's own webhook, else the installation's."""
    return by_installation if job.webhook is None else EVENTS[job.status] in job.webhook.events
