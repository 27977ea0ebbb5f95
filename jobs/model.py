"""What a job is: one frozen record, and the table of the states it may go through.

Theory of operation. A job is created `queued` and ends in exactly one of four terminal states, written once:

    queued ──► running ──► succeeded
       │          ├──────► failed      `error.code` says why: moderated, out_of_memory, worker_lost, ...
       │          ├──────► canceled
       │          └──────► queued      its worker was lost; the next attempt is another execution
       ├──► canceled                   asked for by the client
       ├──► expired                    nobody took it in time
       └──► failed

Retrying is an event, not a state: `attempt` counts executions begun, and `execution` names the one that may write.
A writer that holds an older name has lost the job and is refused (`jobs.redis.store`). The record in Redis is the
truth about a job; what RQ thinks of it is transport. What takes a job from state to state is in `jobs.moves`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from secrets import token_hex
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from jobs.chosen import Chosen
from jobs.labels import Labels
from jobs.usage import JobUsage
from jobs.versions import FIRST, version_of
from p2p.spec import RECORDED, EditSpec
from process.cell import in_cell
from process.error_codes import Place, listed

#: The owner of what was posted without a key.
ANYBODY = "anonymous"


class JobStatus(StrEnum):
    """The states of a job."""

    QUEUED = "queued"  #: accepted, waiting for a worker
    RUNNING = "running"  #: a worker holds it
    SUCCEEDED = "succeeded"  #: its artifacts are stored and readable
    FAILED = "failed"  #: `error` says why; sending it again is the client's choice
    CANCELED = "canceled"  #: asked for by the client
    EXPIRED = "expired"  #: nobody took it in time

    @property
    def is_terminal(self) -> bool:
        """Whether nothing comes after this state."""
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELED, JobStatus.EXPIRED, JobStatus.FAILED}),
    JobStatus.RUNNING: frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.QUEUED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELED: frozenset(),
    JobStatus.EXPIRED: frozenset(),
}


class Record(BaseModel):
    """Base of what is kept: immutable; a field written by a newer version is passed over."""

    # What cannot be read is said without what stands in it, which can be a prompt and would be logged.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


EventName = Literal["edit.succeeded", "edit.failed", "edit.canceled", "edit.expired"]
EVENT_NAMES: tuple[EventName, ...] = get_args(EventName)


class Webhook(Record):
    """The webhook of a job's end, and of which ends."""

    url: str
    events: tuple[EventName, ...] = EVENT_NAMES


class JobError(Record):
    """Why a job failed."""

    code: str = Field(
        description="Stable; docs/errors.md says what each means.", json_schema_extra=listed(Place.FAILURE)
    )
    message: str


class JobProgress(Record):
    """How many steps of the run are done."""

    step: int
    steps: int


class Artifact(Record):
    """One stored result."""

    name: str = Field(description="Unique within the job; looks like a path.")
    kind: Literal["image", "heatmap", "mask", "maps", "manifest", "trajectory"]
    key: str = Field(description="Where it lies in the object storage.")
    content_type: str
    bytes: int
    picture: int | None = Field(None, description="0 is the source, 1 the first edit.")
    word: str | None = None
    occurrence: int | None = None
    seed: int | None = Field(None, description="Of the run that it is of.")


class Notice(Record):
    """Something about a request that was accepted which its sender may not know."""

    code: str = Field(
        description="Stable; docs/errors.md says what each means.", json_schema_extra=listed(Place.NOTICE)
    )
    pointer: str = Field(description="JSON pointer to the field of the request.")
    detail: str = Field(description="What it is about, and what to do.")


class Reconstruction(Record):
    """How faithfully a picture that is edited comes back where nothing is edited: what to know before judging an edit.

    Against the picture as the model is given it. What the autoencoder alone loses, no inversion gives back.
    """

    psnr: float | None = Field(description="dB; null where both are equal.")
    ssim: float
    autoencoder_psnr: float | None = Field(
        description="The same of the picture that went through the autoencoder alone."
    )
    autoencoder_ssim: float
    inversion: Literal["made", "kept"] = Field(description="Whether it was made for this edit, or reused.")


Priority = Literal["high", "normal", "low"]
#: By how many seconds a job goes before one of normal priority that its key posted at the same time. A head start and
#: no more: whatever waits grows older, so that nothing waits for ever. Between keys it decides nothing, or all of them
#: would say "high".
HEAD_START: Mapping[Priority, float] = {"high": 120.0, "normal": 0.0, "low": -600.0}


class Line(Record):
    """How a job waits (`jobs/redis/lua/fair.lua`)."""

    owner: str = Field(description="Whose job it is, where scripts can read it.")
    turn: float = Field(description="`Job.turn`: the order among the owner's own jobs.")
    charge: float = Field(description="Its work over the owner's weight: how far it moves the owner's virtual time.")


class Job(Record):
    """One edit that was asked for, from acceptance to the end of its lifetime."""

    schema_version: int = Field(FIRST, description="The version of this program that it needs (`jobs.versions`).")
    id: str
    owner: str = ANYBODY
    status: JobStatus = JobStatus.QUEUED
    attempt: int = Field(0, description="Executions begun so far.")
    execution: str | None = Field(None, description="The execution that may write.")
    model: str
    spec: EditSpec
    progress: JobProgress | None = None
    preview: str | None = Field(None, description="Where the latest preview that was announced lies.")
    artifacts: tuple[Artifact, ...] = ()
    error: JobError | None = None
    reconstruction: Reconstruction | None = Field(None, description="Of a picture that was not generated.")
    cancel_requested: bool = Field(False, description="The client wants it stopped; its worker looks after steps.")
    created_at: datetime
    queue_limit: timedelta = Field(description="How long it may wait for a worker, each time that it waits.")
    start_by: datetime = Field(description="A job that nobody has begun by then expires.")
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime = Field(description="When the record goes; of an active job a bound that is never reached.")
    lifetime: timedelta = Field(description="How long the record is kept after the job's end.")
    priority: Priority = "normal"
    message: str | None = Field(None, description="The RQ message that a worker is to take it from, while it waits.")
    revision: int = Field(0, description="How many moves were made.")
    traceparent: str | None = Field(None, description="W3C trace context of the request that created it.")
    webhook: Webhook | None = Field(None, description="Gets its end; where absent, the installation's own address.")
    notices: tuple[Notice, ...] = Field((), description="What its sender should know about the request.")
    chosen: tuple[Chosen, ...] = Field((), description="For the targets that name no edits; `spec` holds it too.")
    store: bool = Field(True, description="Whether what is found and made may be kept for later jobs, and read twice.")
    labels: Labels | None = Field(None, description="For whom it is, and what its client finds it by.")
    batch: str | None = Field(None, description="The batch that it was posted in: every turn that ends it looks there.")
    usage: JobUsage | None = Field(None, description="What it used; null until a worker has done a step of it.")
    line: Line | None = Field(None, description="How it waits; absent in records of the first version.")
    start_tag: float | None = Field(None, description="Its place between keys when it was begun: it goes back there.")

    @property
    def subject(self) -> str:
        """What the outbox calls it."""
        return self.id

    @property
    def of_subject(self) -> str | None:
        """The end user that it is made for."""
        return None if self.labels is None else self.labels.subject

    @property
    def turn(self) -> float:
        """Its turn among its owner's jobs that wait: milliseconds since 1970, its head start taken off."""
        return (self.created_at.timestamp() - HEAD_START[self.priority]) * 1000


def new_job(
    spec: EditSpec,
    *,
    lifetime: timedelta,
    queue_limit: timedelta = timedelta(days=1),
    owner: str = ANYBODY,
    priority: Priority = "normal",
    traceparent: str | None = None,
    webhook: Webhook | None = None,
    notices: tuple[Notice, ...] = (),
    chosen: tuple[Chosen, ...] = (),
    labels: Labels | None = None,
    store: bool = True,
    cell: str = "",
) -> Job:
    """A queued job with an id nobody can guess.

    Args:
        cell: stands in its id.
    Raises:
        ValueError: the spec names no model. A job waits in its model's queue, and its record says which one it is.
    """
    if spec.model is None:
        raise ValueError("a job needs a model: set `spec.model`")
    now = datetime.now(UTC)
    job = dict(
        schema_version=version_of(spec, store=store),
        id=in_cell(cell, token_hex(16)),
        owner=owner,
        model=spec.model,
        spec=spec,
        priority=priority,
        created_at=now,
        queue_limit=queue_limit,
        start_by=now + queue_limit,
        expires_at=now + queue_limit + lifetime,
        lifetime=lifetime,
        traceparent=traceparent,
        webhook=webhook,
        notices=notices,
        chosen=chosen,
        labels=labels,
        store=store,
    )
    # The spec was checked when it was read: its words are not looked for once more.
    return Job.__pydantic_validator__.validate_python(job, context=RECORDED)


def job_prefix(job_id: str) -> str:
    """Where everything that a job ever stored lies."""
    return f"jobs/{job_id}"


def execution_prefix(job_id: str, execution: str) -> str:
    """Where an execution's artifacts lie: executions never share a place, so a lost one cannot overwrite."""
    return f"{job_prefix(job_id)}/{execution}"


def artifact_key(job_id: str, execution: str, name: str) -> str:
    """Where an execution's artifact lies."""
    return f"{execution_prefix(job_id, execution)}/{name}"
