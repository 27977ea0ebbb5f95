"""The pictures of an edit that was asked for here: waited for, and answered as OpenAI answers."""

import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, Field

from jobs.errors import ImageNotFound
from jobs.follow.followed import Follower
from jobs.model import Job, JobStatus
from p2p.spec import PictureFormat
from process.leaving import ClientLeft
from service.api_keys import Caller
from service.edits.following import ended, has_ended
from service.images import uploads
from service.openai.errors import EditCanceled, EditExpired, NotMade, StillBeingMade
from service.plane import Plane

#: Seconds that an answer waits for its picture: less than the 600 for which OpenAI's clients wait, so that they learn
#: where to find it.
LONGEST = 540.0

Record = Mapping[str, Any]


class Picture(BaseModel):
    """One picture."""

    b64_json: str | None = Field(None, description="The file, in base64.")
    url: str | None = Field(None, description="Where it lies, for a while; with `response_format`.")


class TokenDetails(BaseModel):
    """What the tokens are of."""

    text_tokens: int
    image_tokens: int


class TokenUsage(BaseModel):
    """Tokens, as OpenAI's clients want them. Pictures have none here; GPU seconds stand in `usage` of the edit."""

    input_tokens: int = Field(description="Of the prompts, as the model reads them.")
    input_tokens_details: TokenDetails
    output_tokens: int
    total_tokens: int


class PicturesAnswer(BaseModel):
    """Pictures that were made."""

    created: int = Field(description="When they were asked for; seconds since 1970.")
    id: str = Field(description="Of the edit: `GET /v1/edits/{id}` has the rest of it. Not OpenAI's.")
    data: tuple[Picture, ...]
    background: str = "opaque"
    output_format: PictureFormat
    size: str
    usage: TokenUsage


async def last_of(job: Job, record: Record, plane: Plane, follower: Follower) -> Record:
    """The record of an edit that has ended.

    Raises:
        StillBeingMade: it was waited for as long as is waited.
        ClientLeft: nobody waits any more, which is no fault of the service's.
    """
    deadline = time.monotonic() + LONGEST
    while not has_ended(record) and not follower.has_left and (left := deadline - time.monotonic()) > 0:
        record = await ended(record, plane.store, follower, left)
    if has_ended(record):
        return record
    if follower.has_left:
        raise ClientLeft
    raise StillBeingMade(job.id)


def succeeded(job: Job, record: Record) -> Record:
    """The record of an edit, which has to have succeeded.

    Raises:
        NotMade, EditCanceled, EditExpired: it ended otherwise.
        StillBeingMade: it has not ended.
    """
    match JobStatus(record["status"]):
        case JobStatus.SUCCEEDED:
            return record
        case JobStatus.FAILED:
            raise NotMade(record["error"]["code"], record["error"]["message"])
        case JobStatus.CANCELED:
            raise EditCanceled
        case JobStatus.EXPIRED:
            raise EditExpired
    raise StillBeingMade(job.id)


def keys_of(record: Record, picture: int) -> Sequence[str]:
    """Where the pictures lie, one for each seed; `picture` is 0 for the source and 1 for its edit."""
    return [each["key"] for each in record["artifacts"] if each["kind"] == "image" and each["picture"] == picture]


async def in_base64(key: str, plane: Plane) -> str:
    """A file of the storage."""
    _, pieces = await plane.storage.opened(key)
    return b64encode(b"".join([piece async for piece in pieces])).decode()


async def shown(job: Job, record: Record, plane: Plane, *, picture: int, size: str, by_url: bool) -> PicturesAnswer:
    """The answer about an edit that has succeeded."""
    keys = keys_of(record, picture)
    data = [Picture(url=plane.url(key)) if by_url else Picture(b64_json=await in_base64(key, plane)) for key in keys]
    return PicturesAnswer(
        created=int(job.created_at.timestamp()),
        id=job.id,
        data=tuple(data),
        output_format=job.spec.artifacts.format,
        size=size,
        usage=usage_of(job, plane),
    )


def usage_of(job: Job, plane: Plane) -> TokenUsage:
    """The tokens of its prompts."""
    counter = plane.counters[job.model]
    tokens = sum(map(counter.count, job.spec.prompts))
    details = TokenDetails(text_tokens=tokens, image_tokens=0)
    return TokenUsage(input_tokens=tokens, input_tokens_details=details, output_tokens=0, total_tokens=tokens)


async def size_of(job: Job, plane: Plane, caller: Caller) -> str:
    """Width x height of what an edit gives back: the picture's own, of one that was sent."""
    source, sampling = job.spec.source.image, job.spec.sampling
    if source is not None and source.upload:
        with suppress(ImageNotFound):
            image = await uploads.fetch(source.upload, plane.images, caller)
            return f"{image.width}x{image.height}"
    return f"{sampling.width}x{sampling.height}"
