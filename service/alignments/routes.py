"""How the words of edited prompts correspond to those of their source."""

from fastapi import APIRouter

from service.alignments.aligning import AlignmentRequest, AlignmentView, aligned
from service.http.bodies import JsonRoute
from service.http.dependencies import CallerOfRequest, PlaneOfApp
from service.http.problems import problems

router = APIRouter(prefix="/v1/alignments", tags=["alignments"], route_class=JsonRoute)


@router.post("", responses=problems(400, 401, 413, 415, 422, 503))
async def align_prompts(body: AlignmentRequest, plane: PlaneOfApp, caller: CallerOfRequest) -> AlignmentView:
    """Set the words of edited prompts against those of their source, as an edit of them would; runs nothing."""
    return aligned(body, plane)
