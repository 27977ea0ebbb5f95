"""The pictures that an edit names, settled before it is queued: found, of the right shape, kept while it needs them.

A worker depends on nobody else's server and finds what the record names, or the picture was erased meanwhile.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from jobs.errors import ImageNotFound
from jobs.images import Image
from jobs.labels import labels_of
from p2p.spec import EditSpec, MaskImage, SourceImage
from picture_files.by_url import UrlNotFetched
from picture_files.reading import ImageRefused
from service.api_keys import Caller
from service.http.complaints import Complaint
from service.http.errors import InvalidEdit
from service.images.mask_checks import complaints_about_mask, read_as
from service.images.uploads import ImagePlane, keep

Location = tuple[str | int, ...]


class Settled(NamedTuple):
    """An edit whose pictures are here.

    Attributes:
        source: the picture that is edited; None if that is generated.
    """

    spec: EditSpec
    source: Image | None


async def settled(
    spec: EditSpec, plane: ImagePlane, caller: Caller, *, until: datetime, subject: str | None = None
) -> Settled:
    """The spec of an edit whose pictures are here, and kept for as long as the edit may need them.

    A picture named by URL is fetched now and kept as if it had been sent: the record names what was edited, not what
    lies at the URL later.

    Args:
        subject: for whom the edit is; what is fetched for it is the same's.
    Raises:
        InvalidEdit: there is no such picture, or the URL gives none, or a mask is of another shape than its picture, or
            says nothing.
        TooManyImages: the caller keeps as many as it may.
    """
    named, source = spec.source.image, None
    needed: dict[Location, Image] = {}
    if named is not None:
        location, source = await _found(named, ("source", "image"), plane, caller, subject)
        needed[location] = source
        settled = named.model_copy(update={"upload": source.id, "url": None})
        spec = spec.model_copy(update={"source": spec.source.model_copy(update={"image": settled})})
    masks = await _masks(spec, source, plane, caller, subject)
    needed |= {location: image for location, image in masks.values()}
    for location, image in needed.items():
        try:
            await plane.records.need(image, until)
        except ImageNotFound as error:
            raise InvalidEdit([_gone(location, error)]) from error
    return Settled(_with_masks(spec, {index: image for index, (_, image) in masks.items()}), source)


async def _found(
    named: SourceImage | MaskImage, place: Location, plane: ImagePlane, caller: Caller, subject: str | None
) -> tuple[Location, Image]:
    """Where a picture is named, and its record; raises `InvalidEdit` that points there."""
    if named.url is not None:
        return (*place, "url"), await _fetched(named.url, (*place, "url"), plane, caller, subject)
    location = (*place, "upload")
    try:
        return location, await plane.records.get(named.upload or "", caller.owner)
    except ImageNotFound as error:
        raise InvalidEdit([_gone(location, error)]) from error


async def _fetched(url: str, location: Location, plane: ImagePlane, caller: Caller, subject: str | None) -> Image:
    if plane.fetch is None:
        detail = "this service fetches nothing by URL: send the picture with POST /v1/images and give its id"
        raise InvalidEdit([Complaint.at(*location, code="urls_not_taken", detail=detail)])
    try:
        async with plane.fetching.turn(caller.owner):
            data = await plane.fetch(url, plane.reader.limits.bytes, caller.owner)
            with await plane.reader.read(data, caller.owner) as picture:
                return await keep(picture, plane, caller, labels_of(subject, None))
    except (UrlNotFetched, ImageRefused) as refusal:
        raise InvalidEdit([Complaint.at(*location, code=refusal.code, detail=str(refusal))]) from refusal


async def _masks(
    spec: EditSpec, source: Image | None, plane: ImagePlane, caller: Caller, subject: str | None
) -> Mapping[int, tuple[Location, Image]]:
    """Every mask by its target's number; raises `InvalidEdit` with all that is wrong with any of them."""
    size = (spec.sampling.width or 0, spec.sampling.height or 0) if source is None else (source.width, source.height)
    found: dict[int, tuple[Location, Image]] = {}
    by_url: dict[str, Image | None] = {}  # of several targets: fetched and kept once, and refused once
    complaints: list[Complaint] = []
    for index, mask in spec.masks.items():
        place: Location = ("targets", index, "local_blend", "mask")
        if mask.url is not None and mask.url in by_url:
            location, image = (*place, "url"), by_url[mask.url]
        else:
            try:
                location, image = await _found(mask, place, plane, caller, subject)
            except InvalidEdit as error:
                complaints += error.complaints
                location, image = place, None
            if mask.url is not None:
                by_url[mask.url] = image
        if image is not None:
            found[index] = location, image
            complaints += complaints_about_mask(image, mask.read_by, size, location)
    if complaints:
        raise InvalidEdit(complaints)
    return found


def _with_masks(spec: EditSpec, masks: Mapping[int, Image]) -> EditSpec:
    """The spec with every mask by its id, and by what it is read."""
    targets = list(spec.targets)
    for index, image in masks.items():
        target, named = targets[index], spec.masks[index]
        mask = named.model_copy(update={"upload": image.id, "url": None, "read_by": named.read_by or read_as(image)})
        assert target.local_blend is not None
        blend = target.local_blend.model_copy(update={"mask": mask})
        targets[index] = target.model_copy(update={"local_blend": blend})
    return spec.model_copy(update={"targets": tuple(targets)})


def _gone(location: Location, error: ImageNotFound) -> Complaint:
    return Complaint.at(*location, code=error.code, detail=str(error))
