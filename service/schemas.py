"""The bodies of HTTP: what comes in is a spec in an envelope, what goes out is a view of the record with links."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import InitErrorDetails, PydanticCustomError

from jobs.catalogue import ModelDeclaration, ModelDefaults, ModelLimits
from jobs.images import AsMask, Image, ImageFormat, image_key
from jobs.inversions import KeptInversion
from jobs.model import (
    EVENT_NAMES,
    Artifact,
    EventName,
    Job,
    JobError,
    JobProgress,
    JobStatus,
    Notice,
    Priority,
    Reconstruction,
    Webhook,
)
from jobs.redis.store import Place
from p2p.spec import Artifacts, Direct, EditSpec, Inversion, InversionMethod, Part, Sampling, Source, counted
from process.addresses import MAX_CHARACTERS, UrlRefused, checked_url
from prompts.prompt_syntax import PromptSyntax, ReadPrompts, read
from service.edits.submit import Asked
from webhooks.deliveries import Attempt

EXAMPLE: JsonDict = {
    "source": {"prompt": "a cat on a beach"},
    "targets": [
        {
            "prompt": "a dog on a beach",
            "edits": [{"kind": "replace"}],
            "local_blend": {"words": [{"word": "dog"}]},
        },
        {"prompt": "a cat on a beach at night", "edits": [{"kind": "refine"}]},
    ],
    "sampling": {"seed": 7},
}


def callable_url(url: str) -> str:
    """A webhook's address as it is kept, or what is wrong with it, for pydantic."""
    try:
        return str(checked_url(url))
    except UrlRefused as error:
        raise PydanticCustomError(error.code, "{reason}", {"reason": str(error)}) from error


class WebhookRequest(Part):
    """Who is to be told of the edit's end."""

    url: Annotated[str, AfterValidator(callable_url)] = Field(
        description="https or http, with a public address; it is sent a POST.", max_length=MAX_CHARACTERS
    )
    events: Annotated[tuple[EventName, ...], *counted(1, len(EVENT_NAMES))] = Field(
        EVENT_NAMES, description="Which ends are told of; all where absent."
    )

    def to_webhook(self) -> Webhook:
        """As the record has it."""
        return Webhook(url=self.url, events=self.events)


#: What was read of prompts that are text.
_UNREAD = ReadPrompts()


def _unread() -> ReadPrompts:
    return _UNREAD


class EditRequest(EditSpec):
    """A source picture and the edits of it. What is absent takes the model's own default."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    webhook: WebhookRequest | None = Field(
        None, description="Told of the edit's end; where absent, whoever the installation names."
    )
    priority: Priority = Field(
        "normal", description="A head start in the queue, or the opposite; whatever waits grows older all the same."
    )
    start_within: Annotated[int, Field(ge=1, le=604_800)] | None = Field(
        None, description="Seconds: an edit that no worker has begun by then expires. At most what the service allows."
    )

    prompt_syntax: PromptSyntax = Field(
        "text",
        description='"weights" reads `(word:1.2)`, `(word)` (1.1), `[word]` (1/1.1), nested ones too, out of the '
        "prompts. In targets they become `reweight` edits, and `edits` may then be left out. Those of the source's "
        "prompt and of the negative prompt are left out, with a notice. `\\(` is a bracket. The answer's `spec` has "
        "the plain prompts and the edits.",
    )
    # By a factory: pydantic copies a default for every request, deeply, which took a tenth of a POST's time.
    _read: ReadPrompts = PrivateAttr(default_factory=_unread)

    @model_validator(mode="wrap")
    @classmethod
    def _weights_read(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(given, cls):
            return given  # read and checked before, by `service.http.bodies`: FastAPI asks once more, on the event loop
        found = read(given)
        made = handler(found.body)
        if found.weighted:
            made._read = found
        return made

    def asked(self, traceparent: str) -> Asked:
        """What is to be made, and what concerns the job alone."""
        spec = EditSpec.model_construct(**{name: getattr(self, name) for name in EditSpec.model_fields})
        within = None if self.start_within is None else timedelta(seconds=self.start_within)
        return Asked(
            spec=spec,
            priority=self.priority,
            start_within=within,
            traceparent=traceparent,
            read=self._read,
            webhook=None if self.webhook is None else self.webhook.to_webhook(),
        )


class InversionRequest(Part):
    """A picture that is to be inverted before it is edited; its edits must agree in all of this but the guidance scale,
    and with some methods in that, too (docs/inversion.md)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"source": {"prompt": "a cat on a beach", "image": {"upload": "img_0123456789abcdef0123456789abcdef"}}}
            ]
        }
    )

    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "scenes"
    source: Source
    inversion: Inversion = Direct()
    sampling: Sampling = Sampling()

    @model_validator(mode="after")
    def _of_a_picture(self) -> Self:
        # The same complaints as about an edit of it, at the same places.
        self._spec()
        return self

    def _spec(self) -> EditSpec:
        maps = Artifacts(heatmaps=False, raw_maps=False)
        if self.source.image is None:
            # Of an edit it would be said that targets are missing, which nobody can send here.
            error = PydanticCustomError("image_not_named", "no picture is named: send one with POST /v1/images")
            details = InitErrorDetails(type=error, loc=("source", "image"), input=None)
            raise ValidationError.from_exception_data("InversionRequest", [details])
        return EditSpec(
            model=self.model,
            source=self.source,
            inversion=self.inversion,
            targets=(),
            sampling=self.sampling,
            artifacts=maps,
        )

    def asked(self, traceparent: str) -> Asked:
        """What is to be made: an edit without targets."""
        return Asked(spec=self._spec(), traceparent=traceparent)


class InversionView(BaseModel):
    """An inversion that is kept."""

    id: str
    image: str = Field(description="Of which picture.")
    model: str
    prompt: str
    method: InversionMethod
    steps: int
    seed: int | None = Field(description="Of the job that made it. Of edit_friendly, give it to the edits.")
    reconstruction: Reconstruction
    unet_evaluations: int = Field(description="Rows that went through the UNet for it, which an edit now spares.")
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, inversion: KeptInversion) -> "InversionView":
        """The view of a record."""
        return cls(**{name: getattr(inversion, name) for name in cls.model_fields})


class InversionList(BaseModel):
    """The key's inversions that are kept."""

    inversions: tuple[InversionView, ...]


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
        """The view of a place; none where the edit waits no more."""
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


class DeliveriesView(BaseModel):
    """What came of telling an edit's webhook."""

    webhook: Webhook | None = Field(description="The edit's own; null where it named none.")
    next_attempt_at: datetime | None = Field(description="Null where none follows.")
    attempts: tuple[Attempt, ...] = Field(description="The latest 50 at most, the oldest first.")


class ImageLinks(BaseModel):
    """Where to find a picture again."""

    self: str


class ImageView(BaseModel):
    """A picture as it is kept: RGB, upright, without metadata."""

    id: str = Field(description="For `source.image.upload` of an edit.")
    width: int
    height: int
    digest: str = Field(description="SHA-256 of its size and pixels: of the same picture the same, whatever the file.")
    format: ImageFormat = Field(description="Of the file that was sent; kept is a PNG.")
    bytes: int = Field(description="Of the PNG.")
    as_mask: AsMask | None = Field(description="Null of a picture that was sent before this was looked at.")
    created_at: datetime
    expires_at: datetime = Field(description="When it goes; later where an edit needs it longer.")
    url: str = Field(description="Of the PNG; works for a while, fetch the image again for a new one.")
    links: ImageLinks

    @classmethod
    def of(cls, image: Image, url: Callable[[str], str], *, prefix: str = "") -> "ImageView":
        """The view of a record; `url` gives the address of what lies under a key, `prefix` stands before links."""
        shared = cls.model_fields.keys() & Image.model_fields.keys()
        return cls(
            url=url(image_key(image.id)),
            links=ImageLinks(self=f"{prefix}/v1/images/{image.id}"),
            **{name: getattr(image, name) for name in shared},
        )


class ImageList(BaseModel):
    """Some of the key's pictures, the first to expire first."""

    images: tuple[ImageView, ...]
    cursor: str | None = Field(description="Give it to see the next ones; null where there are none.")


class ModelView(BaseModel):
    """A model that edits can name."""

    id: str
    description: str
    sizes: tuple[tuple[int, int], ...] = Field(description="[height, width]; the first is the default.")
    max_tokens: int = Field(description="Tokens of one prompt, start and end included.")
    vocabulary: tuple[str, ...] | None = Field(
        description="The words it was trained on; other words have no meaning to it. Null if they are not listed."
    )
    defaults: ModelDefaults
    limits: ModelLimits

    @classmethod
    def of(cls, model: ModelDeclaration, max_tokens: int) -> "ModelView":
        """The view of a declaration, which may leave `max_tokens` to the model's own files."""
        return cls(**{name: getattr(model, name) for name in cls.model_fields} | {"max_tokens": max_tokens})


class ModelList(BaseModel):
    """The models of this installation."""

    models: tuple[ModelView, ...]


class ModelReadiness(BaseModel):
    """Who serves a model."""

    workers: int = Field(description="Workers that are alive.")


class Readiness(BaseModel):
    """That edits are taken, and who would work them off."""

    status: Literal["ready"] = "ready"
    models: dict[str, ModelReadiness]


class Liveness(BaseModel):
    """That the process answers."""

    status: Literal["alive"] = "alive"


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
