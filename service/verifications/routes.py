"""Verifications: send a picture, get what it says of its origin. Nothing of it is kept."""

from typing import Annotated

from fastapi import APIRouter, File, UploadFile

from picture_files.verification import Verification
from service.http.bodies import FileRoute
from service.http.dependencies import CallerOfRequest, PlaneOfApp
from service.http.problems import problems
from service.images import uploads

router = APIRouter(prefix="/v1/verifications", tags=["images"], route_class=FileRoute)


@router.post("", responses=problems(400, 401, 413, 415, 422, 429, 503))
async def verify_image(
    image: Annotated[UploadFile, File(description="PNG, JPEG, WebP, AVIF or HEIC, recognised by its content.")],
    plane: PlaneOfApp,
    caller: CallerOfRequest,
) -> Verification:
    """What a picture says of its origin: IPTC's DigitalSourceType, and C2PA Content Credentials, which are checked."""
    return await uploads.verify(image.file, plane.images, caller)
