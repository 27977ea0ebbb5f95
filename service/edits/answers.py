"""What a client is answered about an edit: a view of its record, with links."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from jobs.model import Artifact, Job, JobError, JobProgress, JobStatus, Notice, Reconstruction
from jobs.redis.store import Place
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

    @classmethod
    def of(cls, job: Job, *, prefix: str = "") -> "EditAccepted":
        """The view of a job; `prefix` stands before the path of each link."""
        return cls(**_common(job, prefix))


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

    @classmethod
    def of(cls, place: Place) -> "QueuePlace | None":
        """The view of a place; none if the edit waits no more."""
        return None if place.ahead is None else cls(ahead=place.ahead, starts_in=place.seconds)


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
    spec: EditSpec = Field(description="What was asked for, the model's defaults filled in.")

    @classmethod
    def with_urls(
        cls, job: Job, url: Callable[[str], str], place: Place | None = None, *, prefix: str = ""
    ) -> "EditView":
        """The view of a job; `url` gives an artifact's address for its key, `prefix` stands before links' paths."""
        return cls(
            **_common(job, prefix),
            queue=None if place is None else QueuePlace.of(place),
            attempt=job.attempt,
            cancel_requested=job.cancel_requested,
            progress=job.progress,
            started_at=job.started_at,
            finished_at=job.finished_at,
            error=job.error,
            reconstruction=job.reconstruction,
            artifacts=tuple(_artifact(artifact, url) for artifact in job.artifacts),
            spec=job.spec,
        )


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


def _common(job: Job, prefix: str) -> dict[str, object]:
    address = f"{prefix}/v1/edits/{job.id}"
    links = Links(self=address, cancel=f"{address}/cancel", events=f"{address}/events")
    names = ("id", "status", "model", "created_at", "expires_at", "notices")
    return {"links": links, **seeds_of(job.spec.sampling), **{name: getattr(job, name) for name in names}}


def seeds_of(sampling: Sampling) -> dict[str, object]:
    """What an edit's seed is, or what its seeds are."""
    return {"seed": sampling.seed if sampling.seeds is None else None, "seeds": sampling.seeds}


def _artifact(artifact: Artifact, url: Callable[[str], str]) -> ArtifactView:
    shared = ArtifactView.model_fields.keys() & Artifact.model_fields.keys()
    return ArtifactView(url=url(artifact.key), **{name: getattr(artifact, name) for name in shared})
