"""How sending an edit's webhook went; sending it again."""

from fastapi import APIRouter

from jobs.model import Job
from service.deliveries.bodies import DeliveriesView
from service.edits import submit
from service.http.dependencies import CallerOfRequest, EditId, InTurnForList, PlaneOfApp
from service.http.problems import problems
from service.plane import Plane

router = APIRouter(prefix="/v1/edits/{edit_id}/deliveries", tags=["webhooks"])


@router.get("", responses=problems(401, 404, 422, 429, 503), dependencies=[InTurnForList])
async def list_deliveries(edit_id: EditId, plane: PlaneOfApp, caller: CallerOfRequest) -> DeliveriesView:
    """Every attempt to tell an edit's webhook of its end, as far as they are kept."""
    return await _view(await submit.fetch(edit_id, plane, caller), plane)


@router.post("", status_code=202, responses=problems(401, 404, 409, 422, 503))
async def deliver_again(edit_id: EditId, plane: PlaneOfApp, caller: CallerOfRequest) -> DeliveriesView:
    """Tell an edit's webhook of its end once more, under the same `webhook-id`; what fails is tried again as usual."""
    return await _view(await submit.deliver_again(edit_id, plane, caller), plane)


async def _view(job: Job, plane: Plane) -> DeliveriesView:
    attempts, next_at = await submit.deliveries(job, plane)
    return DeliveriesView(webhook=job.webhook, next_attempt_at=next_at, attempts=attempts)
