"""The pictures that come in a form: kept as if they had been sent before, until the edit of them has ended."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from redis import RedisError

from jobs.errors import ImageNotFound, JobNotFound
from jobs.labels import labels_of
from jobs.model import Job
from jobs.redis import keys
from jobs.redis.record import plain_of
from service.api_keys import Caller
from service.edits.following import LONGEST_WAIT, ended, has_ended
from service.http.complaints import Complaint
from service.http.errors import InvalidEdit, InvalidImage
from service.images import uploads
from service.openai.bodies import ImageReference, PictureEditRequest
from service.plane import Plane


@dataclass
class Sent:
    """Pictures that came with a request. Its sender never learns their ids, so it could not erase them.

    Attributes:
        ids: of them; empty where a request names pictures that were sent before.
    """

    ids: Sequence[str]
    plane: Plane
    caller: Caller

    async def erase(self) -> None:
        """Now: their edit has ended, or there is none."""
        await erased(self.ids, self.plane, self.caller)
        self.ids = ()

    def erase_once_ended(self, job: Job) -> None:
        """When their edit has ended, which nobody waits for any more. Where this API ends first, they go with it."""
        if self.ids:
            self.plane.later.do(self._once_ended(job))

    async def _once_ended(self, job: Job) -> None:
        with suppress(JobNotFound), self.plane.followers.follow(keys.events(job.id), only_end=True) as follower:
            record = plain_of(job)
            while not has_ended(record) and datetime.now(UTC) < job.expires_at:
                with suppress(RedisError):  # after a minute of trying
                    record = await ended(record, self.plane.store, follower, LONGEST_WAIT)
        await self.erase()


async def received(body: PictureEditRequest, plane: Plane, caller: Caller) -> tuple[PictureEditRequest, Sent]:
    """The body with its files named by their ids, and what came.

    Raises:
        InvalidImage: one is no picture that can be read; it points at its part of the form.
        TooManyImages, TooManyAtOnce: as `uploads.receive` does.
    """
    labels = labels_of(body.safety_identifier or body.user, body.metadata)
    ids: dict[str, str] = {}
    for part, file in body._files.items():
        try:
            ids[part] = (await uploads.receive(file.file, plane.images, caller, labels)).id
        except Exception as error:
            await erased(tuple(ids.values()), plane, caller)
            if isinstance(error, InvalidImage):
                raise InvalidImage([replace(each, pointer=f"/{part}") for each in error.complaints]) from error
            raise
    named = {part: ImageReference(file_id=image_id) for part, image_id in ids.items()}
    update: dict[str, object] = {"images": (named["image"],)} if "image" in named else {}
    if "mask" in named:
        update["mask"] = named["mask"]
    return (body.model_copy(update=update) if update else body), Sent(tuple(ids.values()), plane, caller)


async def erased(ids: Sequence[str], plane: Plane, caller: Caller) -> None:
    """Erase pictures; those that are gone are erased already."""
    for image_id in ids:
        with suppress(ImageNotFound):
            await uploads.erase(image_id, plane.images, caller)


async def refuse_size(body: PictureEditRequest, plane: Plane, caller: Caller) -> None:
    """Raises `InvalidEdit` where another size is asked for than the picture's, in which its edit comes back."""
    image_id = body.images[0].file_id
    if body.size == "auto":
        return
    detail = "an edit comes back in its picture's size"
    if image_id is not None:
        with suppress(ImageNotFound):  # which is complained of where it is named
            image = await uploads.fetch(image_id, plane.images, caller)
            if body.size == f"{image.width}x{image.height}":
                return
            detail += f", which is {image.width}x{image.height}, and {body.size} is asked for"
    raise InvalidEdit([Complaint.at("size", code="size_of_picture", detail=f"{detail}: leave it out")])
