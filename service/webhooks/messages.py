"""What a receiver is told: that a job has ended, how, and where it is. No pictures; a few hundred bytes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from service.jobs.model import EventName, Job, JobStatus, Record
from service.jobs.trace import Trace

#: What the type of a message is, by the end it tells of.
EVENTS: Mapping[JobStatus, EventName] = {
    JobStatus.SUCCEEDED: "edit.succeeded",
    JobStatus.FAILED: "edit.failed",
    JobStatus.CANCELED: "edit.canceled",
    JobStatus.EXPIRED: "edit.expired",
}


class EndedLinks(BaseModel):
    """Where the edit is, at the API that it was sent to."""

    self: str


class EndedError(BaseModel):
    """Why the edit failed."""

    code: str = Field(description="Stable.")


class EndedEdit(BaseModel):
    """An edit that has ended."""

    id: str
    status: Literal["succeeded", "failed", "canceled", "expired"]
    links: EndedLinks
    error: EndedError | None = Field(None, description="Of a failed edit only.")


_EXAMPLE: JsonDict = {
    "type": "edit.failed",
    "timestamp": "2026-01-31T12:00:00Z",
    "data": {
        "id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "status": "failed",
        "links": {"self": "/v1/edits/0f1e2d3c4b5a69788796a5b4c3d2e1f0"},
        "error": {"code": "out_of_memory"},
    },
}


class EditEnded(BaseModel):
    """The message: the body of a webhook."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    type: EventName
    timestamp: datetime = Field(description="When the edit ended; the same in every attempt.")
    data: EndedEdit


class Message(Record):
    """A message on its way.

    Attributes:
        id: `webhook-id`, the same over every attempt: what a receiver knows a repetition by.
        url: the job's own webhook; None for the installation's, whatever that is when an attempt is made.
        traceparent: the job's trace, with a span of the message's own.
        body: as it is sent and signed, in every attempt.
    """

    id: str
    job: str
    owner: str
    url: str | None
    traceparent: str | None
    body: str


def message_about(job: Job) -> Message:
    """What is told of a job that has ended."""
    trace = Trace.parse(job.traceparent)
    links, error = EndedLinks(self=f"/v1/edits/{job.id}"), job.error and EndedError(code=job.error.code)
    told = EditEnded(
        type=EVENTS[job.status],
        timestamp=job.finished_at or datetime.now(UTC),
        data=EndedEdit.model_validate({"id": job.id, "status": job.status, "links": links, "error": error}),
    )
    return Message(
        id=f"{job.id}-{job.status}",
        job=job.id,
        owner=job.owner,
        url=job.webhook.url if job.webhook else None,
        traceparent=trace and trace.child().header,
        body=told.model_dump_json(exclude_none=True),
    )


def is_wanted(job: Job, *, by_installation: bool) -> bool:
    """Whether anybody wants to be told of a job's end: the job's own webhook, else the installation's."""
    return by_installation if job.webhook is None else EVENTS[job.status] in job.webhook.events
