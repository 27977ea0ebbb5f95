"""Batches: post edits together, follow them as one, cancel what is left, and see how the one webhook went."""

import hashlib
from typing import Annotated

import redis
from fastapi import APIRouter, Header, Path, Query, Request, Response

from jobs.batches import BatchStanding
from jobs.errors import TooManyStreams
from jobs.redis import keys
from service.api_keys import Caller
from service.batches import submitting as batches
from service.batches.bodies import BatchDeliveriesView, BatchRequest, BatchView
from service.edits.clients import waiting
from service.edits.following import is_known
from service.http.bodies import JsonRoute
from service.http.dependencies import CallerOfRequest, InTurnForList, PlaneOfApp
from service.http.headers import IdempotencyKey, Prefer, Traceparent, name_of, say_where
from service.http.preferences import seconds_to_wait, without_wait
from service.http.problems import problems
from service.plane import Plane

router = APIRouter(prefix="/v1/batches", tags=["batches"], route_class=JsonRoute)

BatchId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The batch's id.")]


@router.post("", status_code=202, responses={200: {"model": BatchView}, **problems(400, 401, 413, 415, 422, 429, 503)})
async def submit_batch(
    request: Request,
    body: BatchRequest,
    response: Response,
    plane: PlaneOfApp,
    caller: CallerOfRequest,
    traceparent: Traceparent = "",
    prefer: Prefer = "",
    idempotency_key: IdempotencyKey = None,
) -> BatchView:
    """Ask for several edits at once: all are accepted, or none is. Each is worked off in its own turn."""
    asked, name = body.asked(traceparent), name_of(idempotency_key)
    standing, admitted = await batches.submit(asked, plane, caller, name=name)
    say_where(
        response, f"{plane.prefix}/v1/batches/{standing.batch.id}", replayed=admitted.replayed, left=admitted.left
    )
    seconds, applied = seconds_to_wait(prefer)
    if seconds:
        # The batch is accepted already: where the key has as many waits open as it may, it is answered as it stands.
        try:
            standing = await _ended(standing, request, plane, caller, seconds)
        except (TooManyStreams, redis.RedisError):
            applied = without_wait(applied)
        response.status_code = 202 if standing.finished_at is None else 200
    if applied:
        response.headers["Preference-Applied"] = applied
    return BatchView.of(standing, prefix=plane.prefix)


@router.get("/{batch_id}", response_model=BatchView, responses={304: {}, **problems(401, 404, 414, 422, 429, 503)})
async def fetch_batch(
    request: Request,
    batch_id: BatchId,
    response: Response,
    plane: PlaneOfApp,
    caller: CallerOfRequest,
    wait: Annotated[int, Query(ge=0, le=60, description="Seconds to wait for its end.")] = 0,
    if_none_match: Annotated[str, Header()] = "",
) -> BatchView | Response:
    """How a batch stands: how many of its edits are in each state, and each one's state and address."""
    standing = await batches.fetch(batch_id, plane, caller)
    if wait:
        standing = await _ended(standing, request, plane, caller, wait)
    tag = _entity_tag(standing)
    if is_known(tag, if_none_match):
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return BatchView.of(standing, prefix=plane.prefix)


@router.post("/{batch_id}/cancel", responses={202: {"model": BatchView}, **problems(401, 404, 422, 503)})
async def cancel_batch(batch_id: BatchId, response: Response, plane: PlaneOfApp, caller: CallerOfRequest) -> BatchView:
    """Cancel what has not ended of a batch: waiting edits at once, running ones before their next step (202).

    Edits that have ended stay as they are.
    """
    standing = await batches.cancel(batch_id, plane, caller)
    response.status_code = 202 if standing.finished_at is None else 200
    return BatchView.of(standing, prefix=plane.prefix)


@router.get(
    "/{batch_id}/deliveries",
    responses=problems(401, 404, 422, 429, 503),
    dependencies=[InTurnForList],
    tags=["webhooks"],
)
async def list_batch_deliveries(batch_id: BatchId, plane: PlaneOfApp, caller: CallerOfRequest) -> BatchDeliveriesView:
    """Every attempt to tell a batch's webhook of its end, as far as they are kept."""
    return await _deliveries(await batches.fetch(batch_id, plane, caller), plane)


@router.post("/{batch_id}/deliveries", status_code=202, responses=problems(401, 404, 409, 422, 503), tags=["webhooks"])
async def deliver_batch_again(batch_id: BatchId, plane: PlaneOfApp, caller: CallerOfRequest) -> BatchDeliveriesView:
    """Tell a batch's webhook of its end once more, under the same `webhook-id`; what fails is tried again as usual."""
    return await _deliveries(await batches.deliver_again(batch_id, plane, caller), plane)


async def _deliveries(standing: BatchStanding, plane: Plane) -> BatchDeliveriesView:
    attempts = await plane.deliveries.attempts(standing.batch)
    next_at = await plane.deliveries.next_at(standing.batch)
    return BatchDeliveriesView(webhook=standing.batch.webhook, next_attempt_at=next_at, attempts=attempts)


async def _ended(
    standing: BatchStanding, request: Request, plane: Plane, caller: Caller, seconds: float
) -> BatchStanding:
    """The batch once its last edit has ended, or as it stands after so many seconds; raises `TooManyStreams`."""
    if standing.finished_at is not None:
        return standing
    async with waiting(plane, caller, keys.batch_events(standing.batch.id), request.receive) as follower:
        return await batches.ended(standing, plane, follower, seconds)


def _entity_tag(standing: BatchStanding) -> str:
    """A weak tag (RFC 9110, 8.8.1): another one whenever one of the edits is in another state."""
    text = f"{standing.batch.id} {' '.join(standing.statuses.values())} {standing.finished_at}"
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
