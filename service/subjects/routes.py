"""Subjects: erase all that was made for one."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import StringConstraints

from jobs.labels import SUBJECT
from service.http.bodies import JsonRoute
from service.http.dependencies import CallerOfRequest, InTurnForList, PlaneOfApp
from service.http.problems import problems
from service.subjects import erasing
from service.subjects.erasing import Receipt

router = APIRouter(prefix="/v1/subjects", tags=["subjects"], route_class=JsonRoute)

SubjectInPath = Annotated[
    str, StringConstraints(pattern=SUBJECT), Path(description="As `subject` names it in edits, batches and images.")
]


@router.delete(
    "/{subject}",
    responses={202: {"model": Receipt}, **problems(401, 404, 422, 429, 503)},
    dependencies=[InTurnForList],
)
async def erase_subject(
    subject: SubjectInPath, response: Response, plane: PlaneOfApp, caller: CallerOfRequest
) -> Receipt:
    """Erase all that was made for a subject: its edits, batches, pictures and inversions. There is no way back.

    Waiting edits are canceled, running ones are asked to stop. Where some run still after ten seconds, the answer is
    202: ask again. A subject that was never named has nothing, and is erased already.
    """
    receipt = await erasing.erase(subject, plane, caller)
    response.status_code = 202 if receipt.remaining else 200
    return receipt
