"""Every error as one kind of answer: a problem document (RFC 9457, application/problem+json).

    ServiceError
    ├── InvalidEdit         the model that was asked for cannot do what was asked
    ├── InvalidImage        the picture that was sent cannot be read, or is more than is read
    ├── Unauthenticated     no key, or none that is good
    ├── InvalidToken        a token (JWT) that is forged, over, or not for this service
    ├── InsufficientScope   a good token that does not allow this
    ├── IdentityUnavailable whether a token is good is not known: its issuer's keys cannot be had
    ├── InvalidCursor       a listing's cursor that this service did not make
    ├── NotCancelable       the edit is past the point where it can be canceled
    ├── NotEnded            the edit has no end yet that could be sent
    ├── NobodyToTell        the edit has no webhook
    ├── LinkRefused         an artifact's URL is not genuine, or over
    └── HandedOut           an artifact of what is not stored was downloaded before

Each code is a row of `process/errors.toml`, which has its HTTP status. `type` is "about:blank", which says that
the title is the HTTP status's own; what a program looks at is `code`, which is stable. `errors` points into the body
with JSON pointers (RFC 6901). Nothing that was sent is repeated beyond what a message needs to be understood.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, ClassVar

import redis
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from jobs.errors import JobPlaneError
from layers.access import method_of, route_of
from layers.body_errors import BodyRefused
from layers.door_errors import RequestRefused
from process.error_codes import Place, listed, message_of, status_of
from process.leaving import ClientLeft
from process.metrics import HTTP_PROBLEMS
from process.turns import TooManyAtOnce
from service.http.body_models import FirstMistakes
from service.http.complaints import MAX_COMPLAINTS, Complaint, complaints_about

MEDIA_TYPE = "application/problem+json"

log = logging.getLogger(__name__)


class ServiceError(Exception):
    """Base of the tree above."""

    code: ClassVar[str] = "service_error"
    complaints: Sequence[Complaint] = ()
    headers: Mapping[str, str] = {}


class InvalidEdit(ServiceError):
    """The edit is well formed, and this installation or this model cannot do it."""

    code = "invalid_edit"

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__(_summary(complaints))
        self.complaints = complaints


class InvalidImage(ServiceError):
    """The picture that was sent is none that can be read, or more than is read."""

    code = "invalid_image"

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__(_summary(complaints))
        self.complaints = complaints


class Unauthenticated(ServiceError):
    """The request carries no key that this installation knows.

    Args:
        sent: whether it carries one at all: only then the challenge has an error (RFC 6750, 3.1).
    """

    code = "unauthenticated"

    def __init__(self, *, sent: bool = False) -> None:
        super().__init__(message_of(self.code))
        self.headers = {"WWW-Authenticate": 'Bearer error="invalid_token"' if sent else "Bearer"}


class InvalidToken(ServiceError):
    """A token of an identity provider that is not taken."""

    code = "invalid_token"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer error="invalid_token"'}

    def __init__(self, why: str) -> None:
        super().__init__(f"this token is not taken: {why}")


class InsufficientScope(ServiceError):
    """The token is good, and does not allow what was asked for.

    Args:
        needed: the scopes that are.
    """

    code = "insufficient_scope"

    def __init__(self, needed: Sequence[str]) -> None:
        scope = " ".join(needed)
        super().__init__(f"this token does not allow it: fetch one whose scope has {scope}")
        self.headers = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}


class IdentityUnavailable(ServiceError):
    """The keys of the identity provider cannot be had, so that no token can be judged."""

    code = "identity_unavailable"

    def __init__(self, retry_after: float) -> None:
        super().__init__(message_of(self.code))
        self.retry_after = retry_after


class InvalidCursor(ServiceError):
    """A listing's cursor that this service did not make."""

    code = "invalid_cursor"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class NotCancelable(ServiceError):
    """The edit has ended."""

    code = "not_cancelable"

    def __init__(self, status: str) -> None:
        super().__init__(f"the edit is {status}: only one that waits or runs can be canceled")


class NotEnded(ServiceError):
    """The edit waits or runs: nothing was sent that could be sent again."""

    code = "not_ended"

    def __init__(self, status: str) -> None:
        super().__init__(f"the edit is {status}: its webhook is sent once it has ended")


class NobodyToTell(ServiceError):
    """The edit has no webhook that wants to know of this end."""

    code = "no_webhook"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class LinkRefused(ServiceError):
    """The URL of an artifact is not one that this service made, or its time is over."""

    code = "link_refused"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class HandedOut(ServiceError):
    """The artifact is one that is handed out once, and is gone."""

    code = "handed_out"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


#: The codes of what the framework refuses by itself.
FRAMEWORK: Mapping[int, str] = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    414: "query_too_long",
}
#: The same, where the body was announced as a form.
FRAMEWORK_OF_FORMS: Mapping[int, str] = {**FRAMEWORK, 400: "not_multipart"}


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the request body.")
    code: str = Field(
        description="Stable; docs/errors.md says what each means. It may also be one of pydantic's types of errors.",
        json_schema_extra=listed(Place.FIELD),
    )
    detail: str = Field(description="What was given, what was needed, what to do.")


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(
        description="Stable; docs/errors.md says what each means. Later versions may add codes.",
        json_schema_extra=listed(Place.ANSWER),
    )
    errors: tuple[FieldProblem, ...] = ()


@dataclass(frozen=True)
class Answer:
    """An error as it is answered, before it has a shape.

    Attributes:
        code: stable, a row of `process/errors.toml`.
        complaints: what is wrong with single fields.
    """

    status: int
    code: str
    detail: str
    complaints: Sequence[Complaint] = ()
    headers: Mapping[str, str] | None = None


def phrase_of(status: int) -> str:
    """A status's name in RFC 9110; Python called two of them otherwise before 3.13."""
    return {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}.get(status) or HTTPStatus(
        status
    ).phrase


def install_error_handlers(app: FastAPI) -> None:
    """Make every error of an app a problem document."""
    for kind in (
        ServiceError,
        BodyRefused,
        JobPlaneError,
        TooManyAtOnce,
        ClientLeft,
        redis.RedisError,
        RequestValidationError,
        HTTPException,
        Exception,
    ):
        app.add_exception_handler(kind, problem_for)


async def problem_for(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that an error ended."""
    return problem_response(answer_of(request, error), instance=request.url.path)


def answer_of(request: Request, error: Exception, answer: Answer | None = None) -> Answer:
    """What is answered to a request that an error ended: counted, and logged where the service is at fault.

    Args:
        answer: to an error that has one of its own.
    """
    form = request.headers.get("content-type", "").startswith("multipart/")
    answer = answer or _answer(error, FRAMEWORK_OF_FORMS if form else FRAMEWORK)
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        answer = replace(answer, headers={**(answer.headers or {}), **_allowed(request, answer.headers or {})})
    HTTP_PROBLEMS.labels(method_of(request.scope), route_of(request.scope), answer.code).inc()
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s: %s", request.method, request.url.path, answer.code, exc_info=error)
    return answer


def problem_of(error: Exception) -> tuple[JSONResponse, str]:
    """The answer to an error that no request can be made of, and its code."""
    answer = _answer(error, FRAMEWORK)
    return problem_response(answer, instance=""), answer.code


def _allowed(request: Request, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Every method of an address (RFC 9110, 10.2.1), where Starlette names those of the route that it found first."""
    described = request.app.openapi()["paths"].get(route_of(request.scope), ())
    # What is in no description, such as the page, has one route for each address.
    methods = {method.upper() for method in described or headers.get("Allow", "").replace(" ", "").split(",")}
    # Whatever answers GET answers HEAD (`layers.heads`).
    return {"Allow": ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))}


def _answer(error: Exception, of_framework: Mapping[int, str]) -> Answer:
    match error:
        case ServiceError() | JobPlaneError() | TooManyAtOnce() if status := status_of(error.code):
            # Whole seconds (RFC 9110), and never too soon.
            late: float | None = getattr(error, "retry_after", None)
            headers = dict(getattr(error, "headers", {}))
            if late is not None:
                headers["Retry-After"] = str(max(1, math.ceil(late)))
            if policy := getattr(error, "policy", None):
                headers["RateLimit"] = f'"{policy}";r={getattr(error, "remaining", 0)};t={headers["Retry-After"]}'
            return Answer(status, error.code, str(error), getattr(error, "complaints", ()), headers)
        case BodyRefused() | RequestRefused() if status := status_of(error.code):
            return Answer(status, error.code, str(error), headers=error.headers)
        case ClientLeft():  # as where it goes while its body is read; nobody is there to read it
            return _answer(HTTPException(400), of_framework)
        case redis.RedisError():
            return _of_row("redis_unavailable")
        case RequestValidationError():
            return replace(_of_row("invalid_request"), **_mistakes(error))
        case HTTPException() if error.status_code in of_framework:
            return replace(_of_row(of_framework[error.status_code]), headers=error.headers)
        case HTTPException():
            phrase = phrase_of(error.status_code)
            return Answer(error.status_code, phrase.lower().replace(" ", "_"), phrase, headers=error.headers)
    return _of_row("internal_error")


def _of_row(code: str) -> Answer:
    """The answer that says what the table says of a code."""
    return Answer(status_of(code) or HTTPStatus.INTERNAL_SERVER_ERROR, code, message_of(code))


def _mistakes(error: RequestValidationError) -> dict[str, Any]:
    """What an answer says of a body with mistakes."""
    errors = error.errors()
    complaints = complaints_about(errors)
    detail = _summary(complaints, len(errors))
    if isinstance(error, FirstMistakes):
        detail += "; a body of so many values is read up to the first mistake of each list, so there may be more"
    return {"detail": detail, "complaints": complaints}


def _summary(complaints: Sequence[Complaint], found: int | None = None) -> str:
    """What is wrong in one sentence; `found` is how many mistakes there are, where not all of them are at hand."""
    number, first = found or len(complaints), complaints[0]
    count = "1 field needs" if number == 1 else f"{number} fields need"
    left_out = (
        f" (the first {MAX_COMPLAINTS}, {number - MAX_COMPLAINTS} are left out)" if number > MAX_COMPLAINTS else ""
    )
    return f"{count} to be changed, see `errors`{left_out}; the first: {first.pointer or 'the body'}: {first.detail}"


def problem_response(answer: Answer, *, instance: str) -> JSONResponse:
    """An answer as a response."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": phrase_of(answer.status),
        "status": int(answer.status),
        "detail": answer.detail,
        "instance": instance,
        "code": answer.code,
    }
    if answer.complaints:
        body["errors"] = [vars(complaint) for complaint in answer.complaints[:MAX_COMPLAINTS]]
    headers = dict(answer.headers) if answer.headers else None
    return JSONResponse(body, status_code=answer.status, media_type=MEDIA_TYPE, headers=headers)
