"""What a picture is that a client sent, and where it lies: shared by the API, which takes it, and the workers.

A picture has a record in Redis, a hash that expires with it, and one object in the storage, which the reaper removes
then. An edit that names a picture lengthens its life to its own, so that nothing vanishes while the edit waits.
"""

from datetime import datetime
from typing import Literal
from uuid import uuid4

from pydantic import Field

from service.jobs.model import Record

ImageFormat = Literal["PNG", "JPEG", "WEBP"]


class Image(Record):
    """A picture as it is kept: RGB, upright, without metadata."""

    id: str
    owner: str
    width: int
    height: int
    digest: str = Field(description="SHA-256 of its size and pixels: the same picture has the same, whatever the file.")
    format: ImageFormat = Field(description="Of the file that was sent; kept is a PNG.")
    bytes: int = Field(description="Of the PNG.")
    created_at: datetime
    expires_at: datetime


def new_image_id() -> str:
    """An id nobody can guess; `p2p.spec.SourceImage.upload` says what it looks like."""
    return f"img_{uuid4().hex}"


def image_prefix(image_id: str) -> str:
    """Where all of a picture lies."""
    return f"images/{image_id}"


def image_key(image_id: str) -> str:
    """Where its pixels lie."""
    return f"{image_prefix(image_id)}/image.png"
