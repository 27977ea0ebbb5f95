"""`POST /v1/edits` as clients send it: JSON that is an edit, an `Idempotency-Key` perhaps, no preferences.

Its body is read once, by pydantic, where FastAPI has Python read it first; and FastAPI looks for its route no less long
than for that of `service.edits.polling`. Whatever this one does not take, every body that is wrong above all, is
FastAPI's to answer (`service.edits.routes.submit_edit`), as if it had not been here.
"""

from collections.abc import Mapping

from fastapi import Request, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import Message, Receive, Scope, Send

from layers.computing import SMALL
from layers.prefixed import path_of
from p2p.words import read_once
from service.api_keys import Caller
from service.edits import submit
from service.edits.requests import EditRequest
from service.edits.views import shown_accepted
from service.http.dependencies import caller_of_request
from service.plane import Plane

_PATH = "/v1/edits"
#: Marks a request that this route has left to FastAPI's.
_LEFT = "p2p.left"


class Posting(Route):
    """Takes these requests and leaves the others."""

    def __init__(self) -> None:
        super().__init__(_PATH, accepted, name="post_edit", include_in_schema=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it may be one of them."""
        if scope["type"] != "http" or scope["method"] != "POST" or path_of(scope) != _PATH or _LEFT in scope:
            return Match.NONE, {}
        return Match.FULL, {"route": self, "endpoint": self.endpoint, "path_params": {}}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it, or leave it to FastAPI."""
        # Before the body, as every route does: without a key nothing is read.
        caller = await caller_of_request(Request(scope))
        body, headers, response = await _read(receive), _headers(scope), None
        # A large one is for a thread to read (`service.http.bodies`).
        if headers is not None and len(body) <= SMALL:
            with read_once():
                response = await accepted(body, headers, scope["app"].state.plane, caller)
        if response is not None:
            await response(scope, receive, send)
            return

        unread = [body]

        async def received() -> Message:
            # Once: what comes after the body is that the client has gone.
            return {"type": "http.request", "body": unread.pop(), "more_body": False} if unread else await receive()

        scope[_LEFT] = True
        await scope["router"](scope, received, send)


async def accepted(body: bytes, headers: Mapping[bytes, bytes], plane: Plane, caller: Caller) -> Response | None:
    """The answer to a new edit; None if it is not so simple."""
    try:
        asked = EditRequest.model_validate_json(body).asked(headers.get(b"traceparent", b"").decode("latin-1"))
    except ValidationError:
        return None
    key = headers.get(b"idempotency-key")
    name = None if key is None else f"key:{key.decode('latin-1')}"
    job, replayed = await submit.submit(asked, plane, caller, name=name)
    own = {"Location": f"{plane.prefix}{_PATH}/{job.id}", **({"Idempotency-Replayed": "true"} if replayed else {})}
    return Response(
        shown_accepted(job, prefix=plane.prefix), status_code=202, media_type="application/json", headers=own
    )


def _headers(scope: Scope) -> Mapping[bytes, bytes] | None:
    """A request's headers; None if FastAPI is to weigh them."""
    headers = dict(scope["headers"])
    is_plain = (
        len(headers) == len(scope["headers"])
        and headers.get(b"content-type") == b"application/json"
        and b"prefer" not in headers
        and b"content-encoding" not in headers
        and 0 < len(headers.get(b"idempotency-key", b"none")) < 256
    )
    return headers if is_plain else None


async def _read(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400)  # as FastAPI answers one whose client has gone
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)
