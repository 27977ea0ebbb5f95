"""`POST /v1/edits` as clients send it: JSON that is an edit, an `Idempotency-Key` perhaps, no preferences.

Its body is read once, by pydantic, where FastAPI has Python read it first; and FastAPI looks for its route no less long
than for that of `service.routes.polling`. Whatever this one does not take, every body that is wrong above all, is
FastAPI's to answer (`service.routes.edits.submit_edit`), as if it had not been here.
"""

from fastapi import Request, Response
from pydantic import ValidationError
from starlette.routing import Match, Route
from starlette.types import Message, Receive, Scope, Send

from service import submit
from service.plane import Plane
from service.routes.plane import caller_of
from service.schemas import EditRequest
from service.views import shown_accepted

_PATH = "/v1/edits"
#: Marks a request that this route has left to FastAPI's.
_LEFT = "p2p.left"


class Posting(Route):
    """Takes these requests and leaves the others."""

    def __init__(self) -> None:
        super().__init__(_PATH, accepted, name="post_edit", include_in_schema=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it may be one of them."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != _PATH or _LEFT in scope:
            return Match.NONE, {}
        return Match.FULL, {"route": self, "endpoint": self.endpoint, "path_params": {}}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it, or leave it to FastAPI."""
        request = Request(scope, receive)
        response = await accepted(request)
        if response is not None:
            await response(scope, receive, send)
            return
        body = await request.body()

        async def received() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        scope[_LEFT] = True
        await scope["router"](scope, received, send)


async def accepted(request: Request) -> Response | None:
    """The answer to a new edit; None where it is not so simple."""
    headers = request.headers
    key = headers.get("Idempotency-Key")
    if headers.get("Content-Type") != "application/json" or "Prefer" in headers:
        return None
    if key is not None and not 0 < len(key) < 256:
        return None
    caller = await caller_of(request)
    try:
        body = EditRequest.model_validate_json(await request.body())
    except ValidationError:
        return None
    name = None if key is None else f"key:{key}"
    plane: Plane = request.app.state.plane
    job, replayed = await submit.submit(body.asked(headers.get("traceparent", "")), plane, caller, name=name)
    own = {"Location": f"{_PATH}/{job.id}", **({"Idempotency-Replayed": "true"} if replayed else {})}
    return Response(shown_accepted(job), status_code=202, media_type="application/json", headers=own)
