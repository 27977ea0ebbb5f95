"""How an edit stands, told to an agent: with its progress while it is waited for, and its pictures at its end."""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from mcp_types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent

from jobs.follow.feed import START
from jobs.model import Job
from jobs.redis import keys
from jobs.redis.record import plain_of
from service.edits.following import events, has_ended
from service.edits.views import whole
from service.mcp.asking import Asking
from service.plane import Plane

#: "content" has the pictures' bytes in the answer, which a model can look at; "links" their addresses.
Pictures = Literal["content", "links"]
#: Bytes of the pictures in one answer. Clients of the SDK read at most 1 MiB of an event, in which each three bytes are
#: four characters.
MOST_BYTES = 600_000
#: Seconds after which an edit that says nothing is looked at again.
QUIET = 15.0
#: What an answer says of an edit. Its spec is what it has asked for; maps and masks are fetched over HTTP.
_TOLD = ("id", "status", "model", "seed", "seeds", "queue", "progress", "error", "notices", "chosen", "links")


async def waited_for(job: Job, seconds: float, asking: Asking) -> int:
    """Wait until an edit has ended, or for so long, and report each step to its client. Gives the last one reported.

    Raises:
        TooManyStreams: the caller has as many waits and streams open as it may.
    """
    plane, last = asking.plane, 0
    if not seconds or has_ended(plain_of(job)):
        return last
    with (
        plane.stream_bound.held(asking.caller),
        plane.followers.follow(keys.events(job.id), after=START) as follower,
        suppress(TimeoutError),
    ):
        async with asyncio.timeout(seconds):
            async for group in events(job, plane.store, follower, quiet=QUIET):
                # Of steps that came together, the last: the client has heard of none of them yet.
                steps = [event.detail for event in group if event.name == "progress"]
                if steps:
                    step, _, of = steps[-1].partition(" ")[0].partition("/")
                    last = int(step)
                    await _tell(last, int(of), asking)
    return last


async def reached(record: Mapping[str, Any], last: int, asking: Asking) -> None:
    """Report how far an edit is by its record, unless its client has heard of that step.

    A short edit may end before its worker knows that somebody follows it.
    """
    progress = record["progress"]
    if progress is not None and progress["step"] > last:
        await _tell(progress["step"], progress["steps"], asking)


async def _tell(step: int, steps: int, asking: Asking) -> None:
    await asking.progress(float(step), float(steps), f"step {step} of {steps}")


async def told(record: Mapping[str, Any], pictures: Pictures, plane: Plane) -> CallToolResult:
    """An edit as it stands, as the answer of a tool."""
    body = json.loads(bytes((await whole(record, plane, status_code=200)).body))
    shown = [each for each in body["artifacts"] if each["kind"] == "image"]
    says = {name: body[name] for name in _TOLD}
    says["pictures"] = [{name: each[name] for name in ("name", "picture", "seed", "url")} for each in shown]
    # What is not stored is handed out once, by its link.
    is_shown = pictures == "content" and record["store"]
    blocks = await _pictures(shown, record["artifacts"], plane, MOST_BYTES if is_shown else 0)
    return CallToolResult(
        content=[TextContent(text=json.dumps(says)), *blocks],
        structured_content=says,
        is_error=body["status"] == "failed",
    )


async def _pictures(
    shown: Sequence[Mapping[str, Any]], artifacts: Sequence[Mapping[str, Any]], plane: Plane, most: int
) -> list[ContentBlock]:
    """Each picture: itself as long as there is room, and its address where there is none any more."""
    places, blocks = {each["name"]: each["key"] for each in artifacts}, list[ContentBlock]()
    for each in shown:
        if each["bytes"] <= most:
            most -= each["bytes"]
            _, parts = await plane.storage.opened(places[each["name"]])
            data = b"".join([part async for part in parts])
            blocks.append(ImageContent(data=base64.b64encode(data).decode(), mime_type=each["content_type"]))
        else:
            blocks.append(ResourceLink(uri=each["url"], name=each["name"], mime_type=each["content_type"]))
    return blocks
