"""Edits: post one, follow it, list them, cancel one, erase one."""

from collections.abc import AsyncIterator
from typing import Annotated

import redis
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from jobs.errors import TooManyStreams
from jobs.follow.feed import START
from jobs.model import Job, JobStatus
from jobs.redis import keys
from jobs.redis.record import plain_of
from service.api_keys import Caller
from service.edits import listing, submit
from service.edits.answers import EditAccepted, EditList, EditView
from service.edits.clients import waiting
from service.edits.event_stream import STREAM, EventStream
from service.edits.following import EVENT_ID, ended, has_ended
from service.edits.requests import EditRequest
from service.edits.views import answered, conditional, end_of, shown_accepted, whole
from service.http.bodies import JsonRoute
from service.http.dependencies import CallerOfRequest, EditId, InTurnForList, PlaneOfApp
from service.http.described import operation_id
from service.http.direct import DirectRoute
from service.http.headers import IdempotencyKey, Prefer, Traceparent, name_of, where
from service.http.labels import MetadataAsked, SubjectAsked, asked_for
from service.http.preferences import seconds_to_wait, without_wait
from service.http.problems import problems
from service.plane import Plane

router = APIRouter(prefix="/v1/edits", tags=["edits"], route_class=JsonRoute)
#: What clients ask most, the most frequent first: routes are tried in this order.
direct = APIRouter(
    prefix="/v1/edits", tags=["edits"], route_class=DirectRoute, generate_unique_id_function=operation_id
)


@direct.get("/{edit_id}", response_model=EditView, responses={304: {}, **problems(401, 404, 414, 422, 429, 503)})
async def fetch_edit(
    request: Request,
    edit_id: EditId,
    plane: PlaneOfApp,
    caller: CallerOfRequest,
    wait: Annotated[int, Query(ge=0, le=60, description="Seconds to wait for its end.")] = 0,
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """How an edit stands, and once it has succeeded, its artifacts.

    With `wait` the answer comes once the edit has ended. A key may have so many waits and event streams open at once
    (`STREAMS_PER_KEY`); one more is answered 429 `too_many_streams`.
    """
    record = await submit.look(edit_id, plane, caller)
    if not wait or has_ended(record):
        return await answered(record, plane, if_none_match)
    async with waiting(plane, caller, keys.events(record["id"]), request.receive) as follower:
        record = await ended(record, plane.store, follower, wait)
        if follower.stream.end is None:
            return await answered(record, plane, if_none_match)
        # All who waited for this end get one answer.
        tag, body = await follower.once("answer", lambda: end_of(record, plane))
    return conditional(tag, if_none_match, lambda: body)


@direct.post(
    "",
    status_code=202,
    response_model=EditAccepted | EditView,
    responses={200: {"model": EditView}, **problems(400, 401, 413, 415, 422, 429, 503)},
)
async def submit_edit(
    request: Request,
    body: EditRequest,
    plane: PlaneOfApp,
    caller: CallerOfRequest,
    traceparent: Traceparent = "",
    prefer: Prefer = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Ask for an edit. It is worked off in turn; follow `links.self`."""
    return await _submitted(name_of(idempotency_key), body.asked(traceparent), request, plane, caller, prefer)


@direct.put(
    "/{edit_id}",
    status_code=202,
    response_model=EditAccepted | EditView,
    responses={200: {"model": EditView}, **problems(400, 401, 413, 415, 422, 429, 503)},
)
async def put_edit(
    request: Request,
    edit_id: EditId,
    body: EditRequest,
    plane: PlaneOfApp,
    caller: CallerOfRequest,
    traceparent: Traceparent = "",
    prefer: Prefer = "",
) -> Response:
    """Ask for an edit under an id of one's own, as often as one likes: it is one edit.

    Ids are the key's own: the same id of another key is another edit.
    """
    await submit.refuse_taken(edit_id, plane, caller)
    return await _submitted(submit.own_id(edit_id), body.asked(traceparent), request, plane, caller, prefer)


@router.get("", responses=problems(401, 414, 422, 429, 503), dependencies=[InTurnForList])
async def list_edits(
    plane: PlaneOfApp,
    caller: CallerOfRequest,
    status: Annotated[JobStatus | None, Query(description="Only edits in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="Of the page before.")] = None,
    subject: SubjectAsked = None,
    metadata: MetadataAsked = [],  # noqa: B006, FastAPI copies it
) -> EditList:
    """The key's edits, the newest first. A page may hold fewer than asked for, and have another one after it."""
    page = await listing.page(
        plane, caller, status=status, cursor=cursor, limit=limit, subject=subject, metadata=asked_for(metadata)
    )
    return EditList(edits=tuple(EditAccepted.of(job, prefix=plane.prefix) for job in page.jobs), cursor=page.cursor)


async def _followed(edit_id: EditId, plane: PlaneOfApp, caller: CallerOfRequest) -> Job:
    """Found before the stream begins: then there is still a status to answer with."""
    return await submit.fetch(edit_id, plane, caller)


async def _counted(_: Annotated[Job, Depends(_followed)], plane: PlaneOfApp, caller: CallerOfRequest) -> AsyncIterator:
    """Held until the stream is over."""
    with plane.stream_bound.held(caller):
        yield


@router.get(
    "/{edit_id}/events",
    response_class=Response,
    responses={200: STREAM, **problems(401, 404, 422, 429, 503)},
    dependencies=[Depends(_counted)],
)
async def follow_edit(
    job: Annotated[Job, Depends(_followed)],
    plane: PlaneOfApp,
    last_event_id: Annotated[str, Header(description="The last event that was seen: what follows is sent.")] = "",
) -> Response:
    """An edit's events, from the first, as server-sent events: `queued`, `started`, `progress`, `preview`, `retrying`,
    and the state that it ends in, after which the stream is over.

    There are previews where `artifacts.previews` asks for some and moderation allows them. Those of an execution that
    is over and has not succeeded are gone, and are not announced again.
    """
    return EventStream(job, plane, after=last_event_id if EVENT_ID.fullmatch(last_event_id) else START)


@direct.post(
    "/{edit_id}/cancel",
    response_model=EditView,
    responses={202: {"model": EditView}, **problems(401, 404, 409, 422, 503)},
)
async def cancel_edit(edit_id: EditId, plane: PlaneOfApp, caller: CallerOfRequest) -> Response:
    """Cancel an edit: a queued one at once (200), a running one before its next step (202).

    One that is canceled already stays so.
    """
    job = await submit.cancel(edit_id, plane, caller)
    return await whole(plain_of(job), plane, status_code=200 if job.status.is_terminal else 202)


@router.delete("/{edit_id}", status_code=204, responses=problems(401, 404, 409, 422, 503))
async def erase_edit(edit_id: EditId, plane: PlaneOfApp, caller: CallerOfRequest) -> None:
    """Erase an edit that has ended, and everything it left; there is no way back."""
    await submit.erase(edit_id, plane, caller)
    plane.audit.note("edit_erased", edit=edit_id, key=caller.owner)


async def _submitted(
    name: str | None, asked: submit.Asked, request: Request, plane: Plane, caller: Caller, prefer: str
) -> Response:
    """202, or 200 with the whole edit where the client would rather wait and it has ended meanwhile.

    The edit is accepted already when its end is waited for: where the key has as many waits open as it may, the answer
    is 202 at once, and `Preference-Applied` does not name `wait`.
    """
    job, admitted = await submit.submit(asked, plane, caller, name=name)
    headers = where(f"{plane.prefix}/v1/edits/{job.id}", replayed=admitted.replayed, left=admitted.left)
    seconds, applied = seconds_to_wait(prefer)
    record = plain_of(job) if seconds else None
    if record is not None and not has_ended(record):
        try:
            async with waiting(plane, caller, keys.events(job.id), request.receive) as follower:
                record = await ended(record, plane.store, follower, seconds)
        except (TooManyStreams, redis.RedisError):
            applied = without_wait(applied)
    if applied:
        headers["Preference-Applied"] = applied
    if record is not None and has_ended(record):
        return await whole(record, plane, status_code=200, headers=headers)
    body = shown_accepted(job, prefix=plane.prefix)
    return Response(body, status_code=202, media_type="application/json", headers=headers)
