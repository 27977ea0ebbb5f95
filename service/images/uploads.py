"""The use cases of pictures: take one, look one up, erase one, and settle the one that an edit names.

Each is done for a caller, who sees its own pictures and no others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from anyio import to_thread

from p2p.spec import EditSpec
from service.api_keys import Caller
from service.errors import InvalidEdit, InvalidImage
from service.images.by_url import Fetch, UrlNotFetched
from service.images.inversions import Inversions
from service.images.reading import ImageReader, ImageRefused, Normalised
from service.images.records import Images
from service.invalid_input import Complaint
from service.jobs.errors import ImageNotFound, InversionNotFound
from service.jobs.images import Image, image_key, new_image_id
from service.jobs.inversions import KeptInversion
from service.jobs.storage import ObjectStorage


@dataclass(frozen=True, kw_only=True)
class ImagePlane:
    """What these use cases work with.

    Attributes:
        lifetime: how long a picture is kept that no edit needs longer.
        most: how many an owner may keep.
        fetch: gets a file from a URL; None where URLs are not taken.
    """

    records: Images
    inversions: Inversions
    storage: ObjectStorage
    reader: ImageReader
    lifetime: timedelta
    most: int
    fetch: Fetch | None = None


async def receive(file: BinaryIO, plane: ImagePlane, caller: Caller) -> Image:
    """Take a picture that was sent.

    Raises:
        InvalidImage: it is no picture that can be read, or more than may be.
        TooManyImages: the caller keeps as many as it may.
    """
    try:
        return await _kept(await plane.reader.read(file), plane, caller)
    except ImageRefused as refusal:
        raise InvalidImage([Complaint.at("image", code=refusal.code, detail=str(refusal))]) from refusal


async def fetch(image_id: str, plane: ImagePlane, caller: Caller) -> Image:
    """A picture's record; raises `ImageNotFound`."""
    return await plane.records.get(image_id, caller.owner)


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


async def settled(spec: EditSpec, plane: ImagePlane, caller: Caller, *, until: datetime) -> EditSpec:
    """The spec of an edit with the picture that it names here, and kept for as long as the edit may need it.

    A picture named by URL is fetched now and kept as if it had been sent: no worker depends on somebody else's server,
    and the record names what was edited, not what lies at the URL later.

    Raises:
        InvalidEdit: there is no such picture, or the URL gives none.
        TooManyImages: the caller keeps as many as it may.
    """
    named = spec.source.image
    if named is None:
        return spec
    if named.url is not None:
        image = await _fetched(named.url, plane, caller)
    else:
        image = await _of_caller(named.upload or "", plane, caller)
    try:
        await plane.records.need(image, until)
    except ImageNotFound as error:
        raise _gone(error) from error
    settled = named.model_copy(update={"upload": image.id, "url": None})
    return spec.model_copy(update={"source": spec.source.model_copy(update={"image": settled})})


async def _of_caller(image_id: str, plane: ImagePlane, caller: Caller) -> Image:
    try:
        return await plane.records.get(image_id, caller.owner)
    except ImageNotFound as error:
        raise _gone(error) from error


async def _fetched(url: str, plane: ImagePlane, caller: Caller) -> Image:
    if plane.fetch is None:
        detail = "this service fetches nothing by URL: send the picture with POST /v1/images and name it in `upload`"
        raise InvalidEdit([Complaint.at("source", "image", "url", code="urls_not_taken", detail=detail)])
    try:
        data = await plane.fetch(url, plane.reader.limits.bytes)
        return await _kept(await plane.reader.read(data), plane, caller)
    except (UrlNotFetched, ImageRefused) as refusal:
        complaint = Complaint.at("source", "image", "url", code=refusal.code, detail=str(refusal))
        raise InvalidEdit([complaint]) from refusal


def _gone(error: ImageNotFound) -> InvalidEdit:
    return InvalidEdit([Complaint.at("source", "image", "upload", code=error.code, detail=str(error))])


async def _kept(picture: Normalised, plane: ImagePlane, caller: Caller) -> Image:
    now = datetime.now(UTC)
    image = Image(
        id=new_image_id(),
        owner=caller.owner,
        width=picture.width,
        height=picture.height,
        digest=picture.digest,
        format=picture.format,
        bytes=len(picture.png),
        created_at=now,
        expires_at=now + plane.lifetime,
    )
    # The record first: with it stands when its place is cleared, so that nothing is ever left there.
    await plane.records.add(image, plane.most)
    await to_thread.run_sync(plane.storage.put, image_key(image.id), picture.png, "image/png")
    return image
