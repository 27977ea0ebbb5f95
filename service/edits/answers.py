"""What a client is answered about an edit: a view of its record, with links."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from jobs.chosen import Chosen
from jobs.labels import Labels
from jobs.model import Job, JobError, JobProgress, JobStatus, Notice, Reconstruction
from jobs.usage import JobUsage
from p2p.spec import EditSpec, Sampling


class Links(BaseModel):
    """Where to go on from an edit."""

    self: str
    cancel: str
    events: str


class EditAccepted(BaseModel):
    """An edit that waits for a worker, or was just canceled."""

    id: str
    status: JobStatus
    model: str
    created_at: datetime
    expires_at: datetime
    seed: int | None = Field(None, description="Of its noise, also where it was drawn; null where there are `seeds`.")
    seeds: tuple[int, ...] | None = Field(None, description="In place of `seed`, where several were asked for.")
    links: Links
    notices: tuple[Notice, ...] = Field(
        (), description="What may not be as the sender thinks, such as a word that the model was not trained on."
    )

    usage: JobUsage | None = Field(
        None, description="What it used, all attempts together; null until a worker has done a step of it."
    )
    subject: str | None = Field(None, description="For whom it was made, as its request says.")
    metadata: dict[str, str] = Field({}, description="As its request says.")

    @classmethod
    def of(cls, job: Job, *, prefix: str = "") -> "EditAccepted":
        """The view of a job; `prefix` stands before the path of each link."""
        return cls(
            id=job.id,
            status=job.status,
            model=job.model,
            created_at=job.created_at,
            expires_at=job.expires_at,
            **seeds_of(job.spec.sampling),
            links=Links(**links_of(job.id, prefix)),
            notices=job.notices,
            usage=job.usage,
            **labels_shown(job.labels),
        )


class ArtifactView(BaseModel):
    """One result, and where to fetch it."""

    name: str = Field(description="Unique within the edit; looks like a path.")
    kind: Literal["image", "heatmap", "mask", "maps", "manifest", "trajectory"]
    seed: int | None = Field(description="Of the run that it is of; null for what concerns all.")
    picture: int | None = Field(description="0 is the source, 1 the first edit; null for what concerns all.")
    word: str | None = Field(description="A heat map's word.")
    occurrence: int | None = Field(description="Which of the word's occurrences, from 1.")
    content_type: str
    bytes: int
    url: str = Field(description="Works for a while; fetch the edit again for a new one.")


class QueuePlace(BaseModel):
    """Where a waiting edit stands."""

    ahead: int = Field(description="Edits that go before it.")
    starts_in: float | None = Field(
        description="Seconds until it is begun, by how long edits took of late and how many run now; null where "
        "nothing tells. An estimate."
    )


class EditView(EditAccepted):
    """An edit as it stands."""

    queue: QueuePlace | None = Field(None, description="While it waits.")
    attempt: int = Field(description="Executions begun so far; more than one where a worker was lost.")
    cancel_requested: bool = Field(description="It is being canceled: its worker stops before the next step.")
    progress: JobProgress | None
    started_at: datetime | None
    finished_at: datetime | None
    error: JobError | None
    reconstruction: Reconstruction | None = Field(None, description="Of a picture that was not generated.")
    artifacts: tuple[ArtifactView, ...]
    chosen: tuple[Chosen, ...] = Field(
        (), description="For each edited picture whose request names no `edits`, what was chosen: fields of its target."
    )
    spec: EditSpec = Field(description="What was asked for, the model's defaults filled in.")


class EditList(BaseModel):
    """Some of the key's edits, the newest first."""

    edits: tuple[EditAccepted, ...]
    cursor: str | None = Field(description="Give it to see the next ones; null where there are none.")


class EditEvent(BaseModel):
    """Something that happened to an edit."""

    status: JobStatus | None = Field(None, description="The state that it is in from here on, where that changed.")
    step: int | None = Field(None, description="How many steps are done.")
    steps: int | None = Field(None, description="Of how many.")
    url: str | None = Field(None, description="Of a preview: a JPEG, all pictures side by side. Works for a while.")


def links_of(edit_id: str, prefix: str) -> dict[str, str]:
    """Where to go on from an edit; `prefix` stands before each path."""
    address = f"{prefix}/v1/edits/{edit_id}"
    return {"self": address, "cancel": f"{address}/cancel", "events": f"{address}/events"}


def labels_shown(labels: Labels | Mapping[str, Any] | None) -> dict[str, Any]:
    """A subject and metadata, as every answer has them; of labels, or of these as plain data."""
    if labels is None:
        return {"subject": None, "metadata": {}}
    said = vars(labels) if isinstance(labels, Labels) else labels
    return {"subject": said["subject"], "metadata": said["metadata"]}


def seeds_of(sampling: Sampling) -> dict[str, object]:
    """What an edit's seed is, or what its seeds are."""
    return {"seed": sampling.seed if sampling.seeds is None else None, "seeds": sampling.seeds}
