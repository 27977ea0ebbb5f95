"""`POST /v1/images/generations` and `/v1/images/edits`, as clients of OpenAI's Images API call them.

Each asks for an ordinary edit, waits for it, and answers with its pictures. Who wants to poll, to get a webhook or
to send a request twice without a second picture uses `POST /v1/edits`.
"""

from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Request, Response

from jobs.errors import Refused
from jobs.redis import keys
from jobs.redis.record import plain_of
from service.api_keys import Caller
from service.edits import submit
from service.edits.clients import leaving
from service.edits.requests import EditRequest
from service.http.dependencies import CallerOfRequest, PlaneOfApp
from service.http.errors import InvalidEdit
from service.http.headers import Traceparent, where
from service.http.their_words import in_their_words
from service.openai.bodies import GenerationRequest, PictureEditRequest, PictureRequest
from service.openai.described import FORM, STATUSES, SUCCESS
from service.openai.errors import problems
from service.openai.files import Sent, received, refuse_size
from service.openai.made import PicturesAnswer, last_of, shown, size_of, succeeded
from service.openai.route import OpenAiRoute
from service.openai.streaming import PictureStream, Shown
from service.openai.translating import OF_EDIT, OF_GENERATION, Fields, of_edit, of_generation, theirs
from service.plane import Plane

router = APIRouter(prefix="/v1/images", tags=["openai"], route_class=OpenAiRoute)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """A request, as it is answered.

    Attributes:
        asked: the edit that makes it.
        fields: where that edit's fields come from.
        kind: of a stream's events.
        picture: which one of each seed is answered: 0 is the source, 1 its edit.
        sent: pictures that came with it, which go once the edit has ended.
    """

    body: PictureRequest
    asked: EditRequest
    fields: Fields
    kind: str
    picture: int
    sent: Sent


@router.post("/generations", response_model=PicturesAnswer, responses={200: SUCCESS, **problems(*STATUSES)})
async def generate_image(
    request: Request, body: GenerationRequest, plane: PlaneOfApp, caller: CallerOfRequest, traceparent: Traceparent = ""
) -> Response:
    """Pictures of a prompt, as OpenAI's clients ask for them: the answer comes once they are made.

    `Location` names the edit, which has the rest of what was made.
    """
    asked, nothing = of_generation(body), Sent((), plane, caller)
    wanted = _Wanted(body=body, asked=asked, fields=OF_GENERATION, kind="image_generation", picture=0, sent=nothing)
    return await _answered(wanted, request, plane, caller, traceparent)


@router.post(
    "/edits",
    response_model=PicturesAnswer,
    responses={200: SUCCESS, **problems(*STATUSES)},
    openapi_extra={"requestBody": {"content": FORM}},
)
async def edit_image(
    request: Request,
    body: PictureEditRequest,
    plane: PlaneOfApp,
    caller: CallerOfRequest,
    traceparent: Traceparent = "",
) -> Response:
    """An edit of a picture, as OpenAI's clients ask for it: the answer comes once it is made.

    Needs `source_prompt`, which says what the picture shows. A file of a form is erased once the edit has ended.
    """
    # First as if the files were here: to read pictures takes long.
    of_edit(body)
    body, sent = await received(body, plane, caller)
    try:
        await refuse_size(body, plane, caller)
        wanted = _Wanted(body=body, asked=of_edit(body), fields=OF_EDIT, kind="image_edit", picture=1, sent=sent)
        return await _answered(wanted, request, plane, caller, traceparent)
    except (InvalidEdit, Refused):
        await sent.erase()
        raise


async def _answered(wanted: _Wanted, request: Request, plane: Plane, caller: Caller, traceparent: str) -> Response:
    """The pictures, or a stream of them. The place for a wait is taken before anything is asked for."""
    with plane.stream_bound.held(caller):
        with in_their_words(partial(theirs, wanted.fields)):
            job, admitted = await submit.submit(wanted.asked.asked(traceparent), plane, caller)
        headers = where(f"{plane.prefix}/v1/edits/{job.id}", replayed=admitted.replayed, left=admitted.left)
        size = await size_of(job, plane, caller)
        if wanted.body.stream:
            shown_as = Shown(
                job=job, caller=caller, kind=wanted.kind, picture=wanted.picture, size=size, sent=wanted.sent
            )
            return PictureStream(shown_as, plane, headers)
        try:
            with plane.followers.follow(keys.events(job.id), only_end=True) as follower:
                async with leaving(follower, request.receive):
                    record = await last_of(job, plain_of(job), plane, follower)
            await wanted.sent.erase()
        finally:
            wanted.sent.erase_once_ended(job)  # where it has not ended: until then its worker needs them
    by_url = wanted.body.response_format == "url"
    answer = await shown(job, succeeded(job, record), plane, picture=wanted.picture, size=size, by_url=by_url)
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json", headers=headers)
