"""The pictures of an edit as server-sent events, in OpenAI's names: unfinished ones as they come, then the finished."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import redis
from fastapi import Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Receive, Scope, Send

from jobs.errors import ArtifactNotFound, JobPlaneError
from jobs.follow.followed import StreamEvent
from jobs.model import Job
from jobs.redis import keys
from service.api_keys import Caller
from service.edits.clients import leaving
from service.edits.event_stream import LAST, QUIET
from service.edits.following import LONGEST_STREAM, events, has_ended
from service.http.errors import ServiceError, answer_of
from service.openai.errors import NotMade, body_of
from service.openai.files import Sent
from service.openai.made import in_base64, keys_of, succeeded, usage_of
from service.plane import Plane

_DATA = {"data": {"type": "string"}, "event": {"type": "string"}}
#: The answer as OpenAPI describes it (3.2, section 4.14.4).
STREAM: dict[str, Any] = {"itemSchema": {"type": "object", "properties": _DATA}}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a stream is of.

    Attributes:
        kind: of its events: "image_generation" or "image_edit".
        picture: which one of each seed is shown: 0 is the source, 1 its edit.
        size: of the finished pictures, width x height.
        sent: pictures that came with the request, which go once the edit has ended.
    """

    job: Job
    caller: Caller
    kind: str
    picture: int
    size: str
    sent: Sent


class PictureStream(Response):
    """The events of an edit's pictures, until the last one or what went wrong."""

    media_type = "text/event-stream"

    def __init__(self, shown: Shown, plane: Plane, headers: dict[str, str]) -> None:
        # As `service.edits.event_stream` says.
        super().__init__(headers={**headers, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._shown, self._plane, self._partial = shown, plane, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        is_over = False
        try:
            is_over = await self._sent(scope, receive, send)
        finally:
            self._shown.sent.erase_once_ended(self._shown.job)
        if is_over:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Send them but for the end of the answer; whether they came to their end in time."""
        with self._plane.stream_bound.held(self._shown.caller), suppress(TimeoutError):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with asyncio.timeout(LONGEST_STREAM + LAST), aclosing(self._pieces(scope, receive)) as pieces:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                return True
        return False

    async def _pieces(self, scope: Scope, receive: Receive) -> AsyncGenerator[bytes]:
        job, plane = self._shown.job, self._plane
        with plane.followers.follow(keys.events(job.id)) as follower:
            async with leaving(follower, receive):
                async for group in events(job, plane.store, follower, quiet=QUIET):
                    for event in group:
                        if event.name == "preview":
                            with suppress(ArtifactNotFound):  # gone with its execution
                                yield await self._partial_picture(event)
                    if not group:
                        yield KEEPALIVE_COMMENT
                if follower.has_left:
                    return
        try:
            record = await plane.store.look(job.id)
            if has_ended(record):  # until then its worker needs what came with it
                await self._shown.sent.erase()
            record = succeeded(job, record)
            for key in keys_of(record, self._shown.picture):
                yield await self._finished(key)
        except (ServiceError, JobPlaneError, NotMade, redis.RedisError) as error:
            own = error.answer if isinstance(error, NotMade) else None
            body = body_of(answer_of(Request(scope), error, own))
            yield format_sse_event(data_str=json.dumps(body), event="error")

    async def _partial_picture(self, event: StreamEvent) -> bytes:
        _, _, key = event.detail.partition(" ")
        # A preview is a JPEG, whatever the finished picture is.
        said = {**self._shared("partial_image", "jpeg"), "b64_json": await in_base64(key, self._plane)}
        said["partial_image_index"], self._partial = self._partial, self._partial + 1
        return _encoded(said)

    async def _finished(self, key: str) -> bytes:
        said = {
            **self._shared("completed", self._shown.job.spec.artifacts.format),
            "b64_json": await in_base64(key, self._plane),
            "usage": usage_of(self._shown.job, self._plane).model_dump(),
        }
        return _encoded(said)

    def _shared(self, what: str, file_format: str) -> dict[str, Any]:
        return {
            "type": f"{self._shown.kind}.{what}",
            "created_at": int(time.time()),
            "background": "opaque",
            "quality": "auto",
            "output_format": file_format,
            "size": self._shown.size,
            "edit_id": self._shown.job.id,
        }


def _encoded(said: dict[str, Any]) -> bytes:
    return format_sse_event(data_str=json.dumps(said), event=said["type"])
