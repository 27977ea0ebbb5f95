"""What a picture is that a client sent, and where it lies: shared by the API, which takes it, and the workers.

A picture has a record in Redis, a hash that expires with it, and one object in the storage, which the reaper removes
then. An edit that names a picture lengthens its life to its own, so that nothing vanishes while the edit waits.
"""

from datetime import datetime
from typing import Literal
from uuid import uuid4

from pydantic import Field

from jobs.labels import Labels
from jobs.model import Record
from process.cell import in_cell

ImageFormat = Literal["PNG", "JPEG", "WEBP", "AVIF", "HEIC"]


class AsMask(Record):
    """How much of another picture may change where a `local_blend` names this one as its mask.

    It is read by its alpha channel, unless `alpha` is null or 1; then by its colours. A share of 0 or 1 bounds nothing
    and is refused.
    """

    alpha: float | None = Field(
        description="The share of its pixels that its alpha channel has painted; null where nothing is transparent."
    )
    colour: float = Field(description="The share of its pixels that is light, as it is kept: laid on white.")


class Provenance(Record):
    """What a file that was sent said of its origin."""

    source_type: str | None = Field(
        default=None,
        description="Its IPTC DigitalSourceType, such as trainedAlgorithmicMedia; null where it has none.",
    )
    credentials: bool = Field(
        default=False,
        description="Whether it had C2PA Content Credentials. They are kept, and become an ingredient of those of its "
        "edits where this installation signs.",
    )


class Image(Record):
    """A picture as it is kept: RGB, upright, without metadata but what it says of its origin."""

    id: str
    owner: str
    width: int
    height: int
    digest: str = Field(description="SHA-256 of its size and pixels: the same picture has the same, whatever the file.")
    format: ImageFormat = Field(description="Of the file that was sent; kept is a PNG.")
    bytes: int = Field(description="Of the PNG.")
    #: Absent of pictures that were sent before masks were read by their alpha channels.
    as_mask: AsMask | None = None
    provenance: Provenance = Provenance()
    labels: Labels | None = None
    created_at: datetime
    expires_at: datetime


def new_image_id(cell: str = "") -> str:
    """An id nobody can guess; `p2p.spec.SourceImage.upload` says what it looks like."""
    return in_cell(cell, f"img_{uuid4().hex}")


def image_prefix(image_id: str) -> str:
    """Where all of a picture lies."""
    return f"images/{image_id}"


def image_key(image_id: str) -> str:
    """Where its pixels lie."""
    return f"{image_prefix(image_id)}/image.png"


def mask_key(image_id: str) -> str:
    """Where its alpha channel lies as a mask, of a picture of which something is transparent."""
    return f"{image_prefix(image_id)}/mask.png"
