"""Pictures to be edited: send one, look at what is known of it, list them, erase one."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Query, Response, UploadFile

from jobs.labels import labels_of
from service.http.bodies import FileRoute
from service.http.dependencies import CallerOfRequest, InTurnForList, PlaneOfApp
from service.http.labels import (
    ABOUT_METADATA,
    ABOUT_SUBJECT,
    MetadataAsked,
    MetadataText,
    Subject,
    SubjectAsked,
    asked_for,
)
from service.http.problems import problems
from service.images import uploads
from service.images.bodies import ImageList, ImageView

router = APIRouter(prefix="/v1/images", tags=["images"], route_class=FileRoute)

ImageId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The image's id.")]
ImageFile = Annotated[
    UploadFile,
    File(
        description="PNG, JPEG, WebP, AVIF or HEIC, recognised by its content. Of an animation the first picture is "
        "taken. "
        "It is turned upright, brought to sRGB, laid on white where it is transparent, and kept as an RGB PNG without "
        "its metadata, but with what it says of its origin (IPTC's DigitalSourceType, C2PA's credentials). What is "
        "transparent is kept beside it, for edits that name it as a mask."
    ),
]


@router.post("", status_code=201, responses=problems(400, 401, 413, 415, 422, 429, 503))
async def send_image(
    image: ImageFile,
    response: Response,
    plane: PlaneOfApp,
    caller: CallerOfRequest,
    subject: Annotated[Subject | None, Form(description=ABOUT_SUBJECT)] = None,
    metadata: Annotated[MetadataText | None, Form(description=f"A JSON object. {ABOUT_METADATA}")] = None,
) -> ImageView:
    """Send a picture to be edited; name its `id` in an edit's `source.image.upload`."""
    kept = await uploads.receive(image.file, plane.images, caller, labels_of(subject, metadata))
    view = ImageView.of(kept, plane.url, prefix=plane.prefix)
    response.headers["Location"] = view.links.self
    return view


@router.get("", responses=problems(401, 414, 422, 429, 503), dependencies=[InTurnForList])
async def list_images(
    plane: PlaneOfApp,
    caller: CallerOfRequest,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="Of the page before.")] = None,
    subject: SubjectAsked = None,
    metadata: MetadataAsked = [],  # noqa: B006, FastAPI copies it
) -> ImageList:
    """The key's pictures, the first to expire first. A page may hold fewer than asked for, and have another after it.

    One that an edit comes to need meanwhile moves back, and may be listed twice.
    """
    found = await uploads.page(
        plane.images, caller, cursor=cursor, limit=limit, subject=subject, metadata=asked_for(metadata)
    )
    return ImageList(
        images=tuple(ImageView.of(image, plane.url, prefix=plane.prefix) for image in found.images), cursor=found.cursor
    )


@router.get("/{image_id}", responses=problems(401, 404, 422, 503))
async def fetch_image(image_id: ImageId, plane: PlaneOfApp, caller: CallerOfRequest) -> ImageView:
    """What is known of a picture, and where to fetch it as it is kept."""
    return ImageView.of(await uploads.fetch(image_id, plane.images, caller), plane.url, prefix=plane.prefix)


@router.delete("/{image_id}", status_code=204, responses=problems(401, 404, 422, 503))
async def erase_image(image_id: ImageId, plane: PlaneOfApp, caller: CallerOfRequest) -> None:
    """Erase a picture, and the inversions that were made of it; edits of it that have not begun fail then."""
    await uploads.erase(image_id, plane.images, caller)
    plane.audit.note("image_erased", image=image_id, key=caller.owner)
