"""Answers about pictures that are kept."""

from collections.abc import Callable
from datetime import datetime

from pydantic import BaseModel, Field

from jobs.images import AsMask, Image, ImageFormat, Provenance, image_key
from service.edits.answers import labels_shown


class ImageLinks(BaseModel):
    """Where to find a picture again."""

    self: str


class ImageView(BaseModel):
    """A picture as it is kept: RGB, upright, without metadata but what it says of its origin."""

    id: str = Field(description="For `source.image.upload` of an edit.")
    width: int
    height: int
    digest: str = Field(description="SHA-256 of its size and pixels: of the same picture the same, whatever the file.")
    format: ImageFormat = Field(description="Of the file that was sent; kept is a PNG.")
    bytes: int = Field(description="Of the PNG.")
    as_mask: AsMask | None = Field(description="Null of a picture that was sent before this was looked at.")
    provenance: Provenance = Field(description="What its file said of its origin.")
    subject: str | None = Field(None, description="For whom it was sent, as its form says.")
    metadata: dict[str, str] = Field({}, description="As its form says.")
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
            **labels_shown(image.labels),
        )


class ImageList(BaseModel):
    """Some of the key's pictures, the first to expire first."""

    images: tuple[ImageView, ...]
    cursor: str | None = Field(description="Give it to see the next ones; null where there are none.")
