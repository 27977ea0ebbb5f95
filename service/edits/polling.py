"""`GET /v1/edits/{id}` as clients poll it: an id of ours, and no query.

FastAPI takes longer to find its route, and to read the arguments that such a request does not have, than Redis takes to
answer it. So this one comes before FastAPI's routes, and answers the same (`tests/unit/service/test_polling.py`).
Whatever else is asked at the address is for FastAPI to read, to refuse and to describe
(`service.edits.routes.fetch_edit`).
"""

import re
from collections.abc import Callable

from fastapi import Request, Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from jobs.errors import JobNotFound
from jobs.model import Job, JobStatus
from jobs.redis.store import Place
from layers.prefixed import path_of
from process.logs import bind
from service.edits import submit
from service.edits.answers import EditView
from service.edits.following import entity_tag, is_known
from service.edits.views import shown
from service.http.dependencies import caller_of
from service.plane import Plane

_ADDRESS = re.compile(r"/v1/edits/([0-9a-f]{32})")


class Polling(Route):
    """Takes these requests and no others."""

    def __init__(self) -> None:
        super().__init__("/v1/edits/{edit_id}", answered, name="poll_edit", include_in_schema=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it is one of them."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
            return Match.NONE, {}
        if (address := _ADDRESS.fullmatch(path_of(scope))) is None:
            return Match.NONE, {}
        return Match.FULL, {"route": self, "endpoint": self.endpoint, "path_params": {"edit_id": address[1]}}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one; what is raised becomes a problem document outside of here."""
        response = await answered(Request(scope, receive))
        await response(scope, receive, send)


async def answered(request: Request) -> Response:
    """How an edit stands, directly from its record."""
    plane: Plane = request.app.state.plane
    caller = await caller_of(request.headers.get("Authorization", ""), plane)
    edit_id, known = request.path_params["edit_id"], request.headers.get("If-None-Match", "")
    try:
        record = await plane.store.look(edit_id)
    except JobNotFound:
        record = {"owner": None}
    if record["owner"] != caller.owner:
        # It may still be what the caller calls an edit of its own.
        return await shown_job(await submit.fetch(edit_id, plane, caller), plane, known)
    bind(job_id=edit_id)
    waits = record["status"] == JobStatus.QUEUED
    place = await plane.store.place(edit_id, record["model"], record["message"]) if waits else None
    urls_last = plane.url_lifetime if record["artifacts"] else None
    tag = entity_tag(edit_id, record["revision"], place=place, urls_last=urls_last)
    return conditional(tag, known, lambda: shown(record, plane.url, place, prefix=plane.prefix))


async def shown_job(job: Job, plane: Plane, if_none_match: str) -> Response:
    """How an edit stands, from its job."""
    waits = job.status is JobStatus.QUEUED
    place = await plane.store.place(job.id, job.model, job.message) if waits else None
    urls_last = plane.url_lifetime if job.artifacts else None
    tag = entity_tag(job.id, job.revision, place=place, urls_last=urls_last)
    return conditional(tag, if_none_match, lambda: _view(job, plane, place))


def _view(job: Job, plane: Plane, place: Place | None) -> bytes:
    return EditView.with_urls(job, plane.url, place, prefix=plane.prefix).model_dump_json().encode()


async def answer_of(job: Job, plane: Plane) -> tuple[str, bytes]:
    """The tag and the body of an answer about a job that has ended, for several clients."""
    tag = entity_tag(job.id, job.revision, place=None, urls_last=plane.url_lifetime if job.artifacts else None)
    return tag, EditView.with_urls(job, plane.url, prefix=plane.prefix).model_dump_json().encode()


def conditional(tag: str, if_none_match: str, body: Callable[[], bytes]) -> Response:
    """An answer under its tag, or 304 where the client has it (RFC 9110, 15.4.5)."""
    if is_known(tag, if_none_match):
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body(), media_type="application/json", headers={"ETag": tag})
