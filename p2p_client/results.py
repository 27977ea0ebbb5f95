"""What the service answers, typed. A field that a newer service adds is passed over."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["queued", "running", "succeeded", "failed", "canceled", "expired"]
#: Nothing comes after them.
ENDS: frozenset[Status] = frozenset({"succeeded", "failed", "canceled", "expired"})


class Result(BaseModel):
    """Base of all of them: immutable."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Artifact(Result):
    """One result of an edit, and where to fetch it.

    Attributes:
        name: unique within the edit; looks like a path.
        seed: of the run that it is of; None for what concerns all.
        picture: 0 is the source, 1 the first edit; None for what concerns all.
        word: of a heat map; `occurrence` says which one of this word, from 1.
        url: works for a while; `download` fetches the edit again for a new one.
    """

    name: str
    kind: str  # "image", "heatmap", "mask", "maps", "manifest", "trajectory", and what comes
    seed: int | None = None
    picture: int | None = None
    word: str | None = None
    occurrence: int | None = None
    content_type: str
    bytes: int
    url: str


class QueuePlace(Result):
    """Where a waiting edit stands: how many go before it, and in how many seconds it may be begun."""

    ahead: int
    starts_in: float | None = None


class Progress(Result):
    """How many steps are done, and of how many."""

    step: int
    steps: int


class EditError(Result):
    """Why an edit failed; `code` is stable."""

    code: str
    message: str


class Reconstruction(Result):
    """How faithfully a photo comes back where nothing is edited (dB, and structural similarity)."""

    psnr: float | None
    ssim: float
    autoencoder_psnr: float | None
    autoencoder_ssim: float
    inversion: str


class Notice(Result):
    """What may not be as the sender of a request thinks; `pointer` leads to the field, `code` is stable."""

    code: str
    pointer: str
    detail: str


class Usage(Result):
    """What an edit used, all attempts together.

    Attributes:
        gpu_seconds: its share of the seconds of each step.
        steps: that were done.
        rows: of a forward pass that it took.
        megapixels: of one of its pictures.
        bytes_stored: of its artifacts, once it has succeeded.
    """

    gpu_seconds: float
    steps: int
    rows: int
    megapixels: float
    bytes_stored: int


class ChangeRead(Result):
    """One thing that an edited prompt changes, in words."""

    kind: str  # "thing", "attribute", "place", "style", "add", "remove", "weights", and what comes
    source_words: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    about: tuple[str, ...] = ()


class Choice(Result):
    """What a target without edits is run with.

    Attributes:
        says: what is done, in a line.
        edits, cross_window, self_window, local_blend: to be copied into a request.
    """

    says: str
    edits: tuple[Mapping[str, Any], ...] = ()
    cross_window: Mapping[str, Any] | None = None
    self_window: Mapping[str, Any] | None = None
    local_blend: Mapping[str, Any] | None = None


class Chosen(Choice):
    """What was chosen for an edited picture whose request names no edits; `picture` 1 is the first edit."""

    picture: int
    change: tuple[ChangeRead, ...] = ()


class Edit(Result):
    """An edit as it stands; of one that was just accepted, only the first twelve fields say anything.

    Attributes:
        seed: of its noise, also if the service drew it; None if there are `seeds`.
        seeds: in place of `seed`, where several were asked for.
        spec: what was asked for, with the model's defaults. Plain data: `p2p.spec.EditSpec` refuses fields that it
            does not know, and those of a newer service would be such.
    """

    id: str
    status: Status
    model: str
    created_at: datetime
    expires_at: datetime
    seed: int | None = None
    seeds: tuple[int, ...] | None = None
    links: Mapping[str, str]
    notices: tuple[Notice, ...] = ()
    usage: Usage | None = None
    subject: str | None = None
    metadata: Mapping[str, str] = {}
    queue: QueuePlace | None = None
    attempt: int = 0
    cancel_requested: bool = False
    progress: Progress | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: EditError | None = None
    reconstruction: Reconstruction | None = None
    artifacts: tuple[Artifact, ...] = ()
    chosen: tuple[Chosen, ...] = ()
    spec: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether nothing comes after its status."""
        return self.status in ENDS


class EditPage(Result):
    """Some edits, the newest first, and where the next ones are."""

    edits: tuple[Edit, ...]
    cursor: str | None


class Event(Result):
    """Something that happened to an edit (docs/events.md).

    Attributes:
        id: where it stands among the edit's events.
        name: "queued", "started", "progress", "preview", "retrying", or the status that the edit ended in.
        status: the one that it is in from here on, where that changed.
        step: how many are done, of `steps`.
        url: of a preview.
    """

    id: str
    name: str
    status: Status | None = None
    step: int | None = None
    steps: int | None = None
    url: str | None = None

    @property
    def is_end(self) -> bool:
        """Whether nothing comes after it."""
        return self.name in ENDS


class AsMask(Result):
    """How much of another picture may change where a blend names this one as its mask, by each way to read it."""

    alpha: float | None
    colour: float


class Provenance(Result):
    """What a photo's file said of its origin: IPTC's DigitalSourceType, and whether it had C2PA credentials."""

    source_type: str | None = None
    credentials: bool = False


class Image(Result):
    """A photo as the service keeps it; `id` goes into an edit's `source.image.upload`."""

    id: str
    width: int
    height: int
    digest: str
    format: str
    bytes: int
    as_mask: AsMask | None = None
    provenance: Provenance = Provenance()
    subject: str | None = None
    metadata: Mapping[str, str] = {}
    created_at: datetime
    expires_at: datetime
    url: str
    links: Mapping[str, str]


class AskedLora(Result):
    """A LoRA, and how strongly it changes the model."""

    id: str
    weight: float


class Inversion(Result):
    """An inversion that is kept, for the next edits of its picture that name the same LoRAs."""

    id: str
    image: str
    model: str
    prompt: str
    method: str
    steps: int
    seed: int | None = None
    loras: tuple[AskedLora, ...] = ()
    reconstruction: Reconstruction
    unet_evaluations: int
    created_at: datetime
    expires_at: datetime


class InversionList(Result):
    """The inversions that are kept."""

    inversions: tuple[Inversion, ...]


class ModelDefaults(Result):
    """What a request gets that does not say otherwise."""

    steps: int
    guidance_scale: float
    keep: str | None = None
    cross_window: Mapping[str, Any] | None = None
    self_window: Mapping[str, Any] | None = None


class ModelLimits(Result):
    """What may be asked for at most."""

    max_steps: int
    max_targets: int


class Lora(Result):
    """A LoRA that an edit may ask for, with a weight of `max_weight` at most; its `words` stand for what it adds."""

    id: str
    description: str = ""
    words: tuple[str, ...] = ()
    max_weight: float


class Model(Result):
    """A model that edits can name; `sizes` are (height, width), the first is the default.

    `vocabulary` are the words that it was trained on, None if they are not listed; `learned_words` those that textual
    inversions added. `scheduler` runs if a request names none, None for the model's own; where that is not handled,
    `scheduler_replaces` is its class.
    """

    id: str
    description: str
    sizes: tuple[tuple[int, int], ...]
    max_tokens: int
    vocabulary: tuple[str, ...] | None = None
    scheduler: str | None = None
    scheduler_replaces: str | None = None
    loras: tuple[Lora, ...] = ()
    learned_words: tuple[str, ...] = ()
    defaults: ModelDefaults
    limits: ModelLimits


class ModelList(Result):
    """The models of an installation."""

    models: tuple[Model, ...]


class EditOfBatch(Result):
    """One edit of a batch; `seed` and `seeds` are those of an `Edit`."""

    id: str
    status: Status
    seed: int | None = None
    seeds: tuple[int, ...] | None = None
    links: Mapping[str, str]


class Receipt(Result):
    """What was erased of a subject; while edits remain, they run still: ask again."""

    id: str
    subject_sha256: str
    erased_at: datetime
    edits: int
    batches: int
    images: int
    inversions: int
    remaining: int


class Batch(Result):
    """Edits that were accepted together, in the order in which they were posted; "ended" once all of them have."""

    id: str
    status: Literal["active", "ended"]
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None
    counts: Mapping[Status, int]
    edits: tuple[EditOfBatch, ...]
    links: Mapping[str, str]
    notices: tuple[Notice, ...] = ()
    subject: str | None = None
    metadata: Mapping[str, str] = {}

    @property
    def has_ended(self) -> bool:
        """Whether all of its edits have."""
        return self.status == "ended"
