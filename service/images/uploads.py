"""The use cases of pictures: take one, look one up, erase one. What an edit names is settled in `settling`.

Each is done for a caller, who sees its own pictures and no others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import BinaryIO

from anyio import to_thread

from jobs.errors import InversionNotFound
from jobs.images import Image, image_key, mask_key, new_image_id
from jobs.inversions import KeptInversion
from jobs.labels import Labels, labelled
from jobs.storage import ObjectStorage
from picture_files.by_url import Fetch
from picture_files.reading import ImageReader, ImageRefused, Normalised
from picture_files.verification import Verification
from process.cell import PREFIX
from process.turns import Turns
from service.api_keys import Caller
from service.http.complaints import Complaint
from service.http.cursors import cursor_of, place_of
from service.http.errors import InvalidImage
from service.images.records import Images
from service.inversions.records import Inversions

#: Files that are fetched and read from URLs at once, each of up to `MAX_IMAGE_BYTES`, and how many of one owner.
FETCHED_AT_ONCE, FETCHED_OF_OWNER = 16, 4


@dataclass(frozen=True, kw_only=True)
class ImagePlane:
    """What these use cases work with.

    Attributes:
        lifetime: how long a picture is kept that no edit needs longer.
        most: how many an owner may keep.
        fetch: gets a file from a URL; None if URLs are not taken.
    """

    records: Images
    inversions: Inversions
    storage: ObjectStorage
    reader: ImageReader
    lifetime: timedelta
    most: int
    fetch: Fetch | None = None
    #: Stands in the ids of pictures.
    cell: str = ""
    #: Files from URLs lie in this process's memory until they are read.
    fetching: Turns = field(default_factory=lambda: Turns(FETCHED_AT_ONCE, of_owner=FETCHED_OF_OWNER))


async def receive(file: BinaryIO, plane: ImagePlane, caller: Caller, labels: Labels | None = None) -> Image:
    """Take a picture that was sent.

    Raises:
        InvalidImage: it is no picture that can be read, or more than may be.
        TooManyImages: the caller keeps as many as it may.
        TooManyAtOnce: as many of the caller's wait to be read as may.
    """
    try:
        with await plane.reader.read(file, caller.owner) as picture:
            return await keep(picture, plane, caller, labels)
    except ImageRefused as refusal:
        raise InvalidImage([Complaint.at("image", code=refusal.code, detail=str(refusal))]) from refusal


async def verify(file: BinaryIO, plane: ImagePlane, caller: Caller) -> Verification:
    """What a file says of its picture's origin; nothing of it is kept. Raises as `receive` does."""
    try:
        return await plane.reader.verify(file, caller.owner)
    except ImageRefused as refusal:
        raise InvalidImage([Complaint.at("image", code=refusal.code, detail=str(refusal))]) from refusal


async def fetch(image_id: str, plane: ImagePlane, caller: Caller) -> Image:
    """A picture's record; raises `ImageNotFound`."""
    return await plane.records.get(image_id, caller.owner)


@dataclass(frozen=True)
class ImagePage:
    """Some of a caller's pictures, the first to end first; `cursor` asks for the next ones, None at the end."""

    images: Sequence[Image]
    cursor: str | None


async def page(
    plane: ImagePlane,
    caller: Caller,
    *,
    cursor: str | None,
    limit: int,
    subject: str | None = None,
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> ImagePage:
    """A page of a caller's pictures; raises `InvalidCursor`.

    By their ends, which only ever become later: one that an edit comes to need while a client goes from page to page
    may be seen twice, and none is missed.
    """
    after = None if cursor is None else place_of(cursor, rf"{PREFIX}img_[0-9a-f]{{32}}")
    owned = await plane.records.owned(caller.owner, after, limit)
    follows = cursor_of(owned[-1].at) if len(owned) == limit else None
    images = [each.image for each in owned if each.image is not None]
    return ImagePage([each for each in images if labelled(each.labels, subject, metadata)], follows)


async def erase(image_id: str, plane: ImagePlane, caller: Caller) -> None:
    """Erase a picture and its inversions; raises `ImageNotFound`. An edit of it that has not begun then fails."""
    await plane.records.erase(await plane.records.get(image_id, caller.owner))
    for inversion in await plane.inversions.owned(caller.owner):
        if inversion.image == image_id:
            await plane.inversions.erase(inversion)


async def inversions(plane: ImagePlane, caller: Caller) -> Sequence[KeptInversion]:
    """The caller's inversions that are kept."""
    return await plane.inversions.owned(caller.owner)


async def erase_inversion(inversion_id: str, plane: ImagePlane, caller: Caller) -> None:
    """Erase an inversion; raises `InversionNotFound`."""
    for inversion in await plane.inversions.owned(caller.owner):
        if inversion.id == inversion_id:
            return await plane.inversions.erase(inversion)
    raise InversionNotFound


async def keep(picture: Normalised, plane: ImagePlane, caller: Caller, labels: Labels | None = None) -> Image:
    """Keep a picture that was read; raises `TooManyImages`."""
    now = datetime.now(UTC)
    image = Image(
        id=new_image_id(plane.cell),
        owner=caller.owner,
        width=picture.width,
        height=picture.height,
        digest=picture.digest,
        format=picture.format,
        bytes=picture.length,
        as_mask=picture.as_mask,
        provenance=picture.provenance,
        labels=labels,
        created_at=now,
        expires_at=now + plane.lifetime,
    )
    # The record first: with it stands when its place is cleared, so that nothing is ever left there.
    await plane.records.add(image, plane.most)
    if picture.mask:
        await to_thread.run_sync(plane.storage.put, mask_key(image.id), picture.mask, "image/png")
    await to_thread.run_sync(plane.storage.put, image_key(image.id), picture.file, "image/png")
    return image
