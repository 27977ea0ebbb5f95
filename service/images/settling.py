"""The pictures that an edit names, settled before it is queued: found, of the right shape, kept while it needs them.

A worker depends on nobody else's server and finds what the record names, or the picture was erased meanwhile.
"""

from collections.abc import Mapping
from datetime import datetime

from p2p.spec import EditSpec, SourceImage
from service.api_keys import Caller
from service.errors import InvalidEdit
from service.images.by_url import UrlNotFetched
from service.images.reading import ImageRefused
from service.images.uploads import ImagePlane, keep
from service.invalid_input import Complaint
from service.jobs.errors import ImageNotFound
from service.jobs.images import Image

Location = tuple[str | int, ...]
_SOURCE: Location = ("source", "image", "upload")


async def settled(spec: EditSpec, plane: ImagePlane, caller: Caller, *, until: datetime) -> EditSpec:
    """The spec of an edit whose pictures are here, and kept for as long as the edit may need them.

    A picture named by URL is fetched now and kept as if it had been sent: the record names what was edited, not what
    lies at the URL later.

    Raises:
        InvalidEdit: there is no such picture, or the URL gives none, or a mask is of another shape than its picture.
        TooManyImages: the caller keeps as many as it may.
    """
    named = spec.source.image
    needed: dict[Location, Image] = {}
    if named is not None:
        needed[_SOURCE] = await _source(named, plane, caller)
        settled = named.model_copy(update={"upload": needed[_SOURCE].id, "url": None})
        spec = spec.model_copy(update={"source": spec.source.model_copy(update={"image": settled})})
    needed |= await _masks(spec, needed.get(_SOURCE), plane, caller)
    for location, image in needed.items():
        try:
            await plane.records.need(image, until)
        except ImageNotFound as error:
            raise InvalidEdit([_gone(location, error)]) from error
    return spec


async def _source(named: SourceImage, plane: ImagePlane, caller: Caller) -> Image:
    if named.url is not None:
        return await _fetched(named.url, plane, caller)
    try:
        return await plane.records.get(named.upload or "", caller.owner)
    except ImageNotFound as error:
        raise InvalidEdit([_gone(_SOURCE, error)]) from error


async def _fetched(url: str, plane: ImagePlane, caller: Caller) -> Image:
    if plane.fetch is None:
        detail = "this service fetches nothing by URL: send the picture with POST /v1/images and name it in `upload`"
        raise InvalidEdit([Complaint.at("source", "image", "url", code="urls_not_taken", detail=detail)])
    try:
        data = await plane.fetch(url, plane.reader.limits.bytes)
        return await keep(await plane.reader.read(data), plane, caller)
    except (UrlNotFetched, ImageRefused) as refusal:
        complaint = Complaint.at("source", "image", "url", code=refusal.code, detail=str(refusal))
        raise InvalidEdit([complaint]) from refusal


async def _masks(spec: EditSpec, source: Image | None, plane: ImagePlane, caller: Caller) -> Mapping[Location, Image]:
    """Every mask by its place in the spec; raises `InvalidEdit` with all that is wrong with any of them."""
    size = (spec.sampling.width or 0, spec.sampling.height or 0) if source is None else (source.width, source.height)
    found: dict[Location, Image] = {}
    complaints = []
    for index, upload in spec.masks.items():
        location: Location = ("targets", index, "local_blend", "mask", "upload")
        try:
            mask = await plane.records.get(upload, caller.owner)
        except ImageNotFound as error:
            complaints.append(_gone(location, error))
            continue
        if not have_one_shape((mask.width, mask.height), size):
            detail = (
                f"the mask is {mask.width}x{mask.height} and its picture {size[0]}x{size[1]} (width x height): "
                "send one of the same shape"
            )
            complaints.append(Complaint.at(*location, code="mask_of_another_shape", detail=detail))
        found[location] = mask
    if complaints:
        raise InvalidEdit(complaints)
    return found


def have_one_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes are one picture's at two resolutions, the sides of the smaller rounded to whole pixels."""
    (width, height), (other_width, other_height) = size, other
    # Rounding takes half a pixel at most from each side of the smaller one.
    room = max(width + height, other_width + other_height)
    return 2 * abs(width * other_height - height * other_width) <= room


def _gone(location: Location, error: ImageNotFound) -> Complaint:
    return Complaint.at(*location, code=error.code, detail=str(error))
