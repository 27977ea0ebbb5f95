"""Inversions: make one ahead of the edits, see which are kept, erase one."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from service.edits import submit
from service.edits.answers import EditAccepted
from service.http.bodies import JsonRoute
from service.http.dependencies import CallerOfRequest, InTurnForList, PlaneOfApp
from service.http.headers import IdempotencyKey, Traceparent, name_of, say_where
from service.http.problems import problems
from service.images import uploads
from service.inversions.bodies import InversionList, InversionRequest, InversionView

router = APIRouter(prefix="/v1/inversions", tags=["images"], route_class=JsonRoute)

InversionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The inversion's id.")]


@router.post("", status_code=202, responses=problems(400, 401, 413, 415, 422, 429, 503))
async def invert_ahead(
    body: InversionRequest,
    response: Response,
    plane: PlaneOfApp,
    caller: CallerOfRequest,
    traceparent: Traceparent = "",
    idempotency_key: IdempotencyKey = None,
) -> EditAccepted:
    """Invert a picture before it is edited: an edit without targets, under `/v1/edits`; it tells how faithful it is."""
    job, admitted = await submit.submit(body.asked(traceparent), plane, caller, name=name_of(idempotency_key))
    accepted = EditAccepted.of(job, prefix=plane.prefix)
    say_where(response, accepted.links.self, replayed=admitted.replayed, left=admitted.left)
    return accepted


@router.get("", responses=problems(401, 429, 503), dependencies=[InTurnForList])
async def list_inversions(plane: PlaneOfApp, caller: CallerOfRequest) -> InversionList:
    """The key's inversions that are kept: an edit of the same picture, prompt and sampling takes one up."""
    found = await uploads.inversions(plane.images, caller)
    return InversionList(inversions=tuple(map(InversionView.of, found)))


@router.delete("/{inversion_id}", status_code=204, responses=problems(401, 404, 422, 503))
async def erase_inversion(inversion_id: InversionId, plane: PlaneOfApp, caller: CallerOfRequest) -> None:
    """Erase an inversion; the next edit of its picture inverts it anew."""
    await uploads.erase_inversion(inversion_id, plane.images, caller)
    plane.audit.note("inversion_erased", inversion=inversion_id, key=caller.owner)
