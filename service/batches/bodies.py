"""The bodies of batches: edits in, a view of how each stands out."""

from datetime import datetime
from itertools import zip_longest
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from jobs.batches import BATCH_EVENT_NAMES, MAX_EDITS, AnyEventName, BatchStanding, BatchWebhook
from jobs.labels import labels_of
from jobs.model import JobStatus, Notice
from p2p.spec import Part, counted
from process.addresses import MAX_CHARACTERS
from service.batches.submitting import AskedBatch
from service.edits.answers import labels_shown
from service.edits.requests import EXAMPLE, EditRequest, callable_url
from service.http.labels import ABOUT_METADATA, ABOUT_SUBJECT, Metadata, Subject
from webhooks.deliveries import Attempt


class BatchWebhookRequest(Part):
    """Where the batch's end is sent."""

    url: Annotated[str, AfterValidator(callable_url)] = Field(
        description="https or http, with a public address; it is sent a POST.", max_length=MAX_CHARACTERS
    )
    events: Annotated[tuple[AnyEventName, ...], *counted(1, len(BATCH_EVENT_NAMES))] = Field(
        ("batch.ended",),
        description="`batch.ended`: sent once, when all edits have ended. The others: sent for each edit that ends so "
        "and names no webhook of its own.",
    )

    def to_webhook(self) -> BatchWebhook:
        """As the record has it."""
        return BatchWebhook(url=self.url, events=self.events)


_EXAMPLE: JsonDict = {"edits": [EXAMPLE], "webhook": {"url": "https://example.com/told"}}


class BatchRequest(Part):
    """Edits that are accepted together, or not at all."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    edits: Annotated[tuple[EditRequest, ...], *counted(1, MAX_EDITS)] = Field(
        description="Each as `POST /v1/edits` takes it. No more than the key may post at once.",
    )
    webhook: BatchWebhookRequest | None = Field(
        None, description="Sent once all edits have ended; where absent, to the installation's own address."
    )

    subject: Subject | None = Field(None, description=f"{ABOUT_SUBJECT} Also of its edits that name none.")
    metadata: Metadata | None = Field(
        None, description=f"{ABOUT_METADATA} Also of its edits, beside their own, which go first."
    )

    def asked(self, traceparent: str) -> AskedBatch:
        """What is to be made, and where the end is sent."""
        return AskedBatch(
            edits=[edit.asked(traceparent) for edit in self.edits],
            labels=labels_of(self.subject, self.metadata),
            webhook=None if self.webhook is None else self.webhook.to_webhook(),
            traceparent=traceparent,
        )


class EditLink(BaseModel):
    """Where an edit is."""

    self: str


class EditOfBatch(BaseModel):
    """One edit of a batch."""

    id: str
    status: JobStatus = Field(description="As it ended, also where it was erased since.")
    seed: int | None = Field(None, description="Of its noise, also where it was drawn; null where there are `seeds`.")
    seeds: tuple[int, ...] | None = Field(None, description="In place of `seed`, where it has several.")
    links: EditLink


class BatchLinks(BaseModel):
    """Where to go on from a batch."""

    self: str
    cancel: str
    deliveries: str


class BatchCounts(BaseModel):
    """How many of a batch's edits are in each state."""

    queued: int
    running: int
    succeeded: int
    failed: int
    canceled: int
    expired: int


class BatchView(BaseModel):
    """A batch as it stands."""

    id: str
    status: Literal["active", "ended"] = Field(description="`ended` once all of its edits have.")
    created_at: datetime
    finished_at: datetime | None = Field(description="When the last one ended.")
    expires_at: datetime | None = Field(description="When the batch is forgotten; known from its end on.")
    counts: BatchCounts
    edits: tuple[EditOfBatch, ...] = Field(description="In the order in which they were posted.")
    links: BatchLinks
    notices: tuple[Notice, ...] = Field(
        (), description="What may not be as the sender thinks, of all edits; at most 16. Each edit has its own."
    )
    subject: str | None = Field(None, description="For whom it was made, as its request says.")
    metadata: dict[str, str] = Field({}, description="As its request says; each edit has it beside its own.")

    @classmethod
    def of(cls, standing: BatchStanding, *, prefix: str = "") -> "BatchView":
        """The view of a batch; `prefix` stands before the path of each link."""
        batch = standing.batch
        address = f"{prefix}/v1/batches/{batch.id}"
        return cls(
            id=batch.id,
            status="active" if standing.finished_at is None else "ended",
            created_at=batch.created_at,
            finished_at=standing.finished_at,
            expires_at=standing.expires_at,
            counts=BatchCounts.model_validate(dict(standing.counts())),
            edits=tuple(
                EditOfBatch(id=edit, status=status, links=EditLink(self=f"{prefix}/v1/edits/{edit}"), **_seeds(seeds))
                for (edit, status), seeds in zip_longest(standing.statuses.items(), batch.seeds)
            ),
            links=BatchLinks(self=address, cancel=f"{address}/cancel", deliveries=f"{address}/deliveries"),
            notices=batch.notices,
            **labels_shown(batch.labels),
        )


class BatchDeliveriesView(BaseModel):
    """How sending a batch's webhook went."""

    webhook: BatchWebhook | None = Field(description="The batch's own; null where it named none.")
    next_attempt_at: datetime | None = Field(description="Null where none follows.")
    attempts: tuple[Attempt, ...] = Field(description="The latest 50 at most, the oldest first.")


def _seeds(kept: int | tuple[int, ...] | None) -> dict[str, Any]:
    return {"seeds": kept} if isinstance(kept, tuple) else {"seed": kept}
