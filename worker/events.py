"""What happens to a job while a worker has it: plain values, in the order in which they happen.

`Started`, then any number of `Progress`, `PreviewReady`, `Inverted`, `Reconstructed` and `Waiting`. If the pictures are
made, `Drawn` and any number of `ArtifactReady` follow. The last is exactly one of `Finished`, `Failed`, `Canceled`,
`HandedBack`. The engine yields them and knows neither Redis nor the storage; `worker.publishing` folds them into the
record. A new event is a class here, its place in `Event`, and a row of `worker.publishing.WRITTEN`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from PIL import Image

from jobs.model import Reconstruction


class Happened:
    """What every event has.

    Attributes:
        ends_previews: whether previews that are still being made are given up: the pictures are there, or are not made.
        said: the line of the log once it is written down, in which the event's fields are filled in; empty for none. Of
            a failure it has the code alone: the message can hold a prompt.
    """

    ends_previews: ClassVar[bool] = True
    said: ClassVar[str] = ""


@dataclass(frozen=True, kw_only=True)
class Started(Happened):
    """The model has taken the job up."""

    ends_previews = False
    said = "begun"


@dataclass(frozen=True, kw_only=True)
class Progress(Happened):
    """`step` of `steps` are done."""

    ends_previews = False

    step: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class Waiting(Happened):
    """The job has done its part of a turn. Other jobs may do theirs before it goes on."""

    ends_previews = False


@dataclass(frozen=True, kw_only=True)
class Drawn(Happened):
    """The pictures are made. What follows needs no model: it may go on in another thread."""

    ends_previews = False


@dataclass(frozen=True, kw_only=True)
class PreviewReady(Happened):
    """How the pictures look after `step` of `steps`: small ones, the source first. Nobody has judged them yet."""

    ends_previews = False

    step: int
    steps: int
    pictures: tuple[Image.Image, ...]


@dataclass(frozen=True, kw_only=True)
class ArtifactReady(Happened):
    """A result to be stored under `name`; `source` is the digest of the source whose trajectory it is.

    `seed` is that of its picture or pictures; None for what concerns all seeds.
    """

    name: str
    kind: Literal["image", "heatmap", "mask", "maps", "manifest", "trajectory"]
    content_type: str
    data: bytes
    picture: int | None = None
    word: str | None = None
    occurrence: int | None = None
    source: str | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Inverted(Happened):
    """A picture's run was found, to be kept for later edits.

    Attributes:
        source: the digest of all that determines it.
        data: its trajectory, as a file.
        unet_evaluations: rows that went through the UNet for it.
    """

    ends_previews = False

    source: str
    data: bytes
    reconstruction: Reconstruction
    unet_evaluations: int


@dataclass(frozen=True, kw_only=True)
class Reconstructed(Happened):
    """How faithfully the picture that is edited comes back."""

    ends_previews = False

    reconstruction: Reconstruction


@dataclass(frozen=True, kw_only=True)
class Finished(Happened):
    """Everything asked for has been yielded."""

    said = "succeeded"


@dataclass(frozen=True, kw_only=True)
class Failed(Happened):
    """The job cannot be finished; `code` is stable."""

    said = "failed: {code}"

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Canceled(Happened):
    """The job was stopped between two steps because its client asked for it."""

    said = "canceled"


@dataclass(frozen=True, kw_only=True)
class HandedBack(Happened):
    """The worker ends before the job does: another one begins it anew."""

    said = "given back"


Happening = Started | Progress | Waiting | Drawn | PreviewReady | ArtifactReady | Inverted | Reconstructed
Event = Happening | Finished | Failed | Canceled | HandedBack
