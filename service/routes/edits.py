"""POST and GET edits, cancel one, erase one."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from service import submit
from service.openapi import problems
from service.routes.plane import PlaneOfApp
from service.schemas import EditAccepted, EditRequest, EditView

router = APIRouter(prefix="/v1/edits", tags=["edits"])


@router.post("", status_code=202, responses=problems(400, 413, 415, 422, 503))
async def submit_edit(
    body: EditRequest, response: Response, plane: PlaneOfApp, traceparent: Annotated[str, Header()] = ""
) -> EditAccepted:
    """Ask for an edit. It is worked off in turn; follow `links.self`."""
    job = await submit.submit(body.to_spec(), plane, traceparent=traceparent)
    accepted = EditAccepted.of(job)
    response.headers["Location"] = accepted.links.self
    return accepted


@router.get("/{job_id}", responses=problems(404, 503))
async def fetch_edit(job_id: str, plane: PlaneOfApp) -> EditView:
    """How an edit stands, and once it has succeeded, its artifacts."""
    return EditView.with_urls(await submit.fetch(job_id, plane), plane.url)


@router.post("/{job_id}/cancel", responses={202: {"model": EditView}, **problems(404, 409, 503)})
async def cancel_edit(job_id: str, response: Response, plane: PlaneOfApp) -> EditView:
    """Cancel an edit: a queued one at once (200), a running one before its next step (202).

    One that is canceled already stays so.
    """
    job = await submit.cancel(job_id, plane)
    if not job.status.is_terminal:
        response.status_code = 202
    return EditView.with_urls(job, plane.url)


@router.delete("/{job_id}", status_code=204, responses=problems(404, 409, 503))
async def erase_edit(job_id: str, plane: PlaneOfApp) -> None:
    """Erase an edit that has ended, and everything it left; there is no way back."""
    await submit.erase(job_id, plane)
