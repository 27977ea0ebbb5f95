"""What happens to a job while a worker has it: plain values, in the order in which they happen.

`Started`, then any number of `Progress`, `PreviewReady`, `Inverted`, `Reconstructed` and `ArtifactReady`, then exactly
one of `Finished`, `Failed`, `Canceled`, `HandedBack`. The engine yields them and knows neither Redis nor the storage;
`worker.publishing` folds them into the record.
"""

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from jobs.model import Reconstruction


@dataclass(frozen=True, kw_only=True)
class Started:
    """The model has taken the job up."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`step` of `steps` are done."""

    step: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class PreviewReady:
    """How the pictures look after `step` of `steps`: small ones, the source first. Nobody has judged them yet."""

    step: int
    steps: int
    pictures: tuple[Image.Image, ...]


@dataclass(frozen=True, kw_only=True)
class ArtifactReady:
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
class Inverted:
    """A picture's run was found, to be kept for later edits.

    Attributes:
        source: the digest of all that determines it.
        data: its trajectory, as a file.
        unet_evaluations: rows that went through the UNet for it.
    """

    source: str
    data: bytes
    reconstruction: Reconstruction
    unet_evaluations: int


@dataclass(frozen=True, kw_only=True)
class Reconstructed:
    """How faithfully the picture that is edited comes back."""

    reconstruction: Reconstruction


@dataclass(frozen=True, kw_only=True)
class Finished:
    """Everything asked for has been yielded."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The job cannot be finished; `code` is stable."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Canceled:
    """The job was stopped between two steps because its client asked for it."""


@dataclass(frozen=True, kw_only=True)
class HandedBack:
    """The worker ends before the job does: another one begins it anew."""


Happening = Started | Progress | PreviewReady | ArtifactReady | Inverted | Reconstructed
Event = Happening | Finished | Failed | Canceled | HandedBack
