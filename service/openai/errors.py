"""Every error of these routes as OpenAI's clients read errors: `{"error": {"message", "type", "param", "code"}}`.

Statuses and codes are those of all other routes, so that `code` can be looked up in docs/errors.md.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Literal

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from process.error_codes import message_of
from service.http.complaints import Complaint
from service.http.errors import Answer, ServiceError, answer_of, phrase_of

Kind = Literal["invalid_request_error", "authentication_error", "rate_limit_error", "moderation_error", "server_error"]

#: By the status of an answer, where it is no mistake of the request.
_KINDS: Mapping[int, Kind] = {401: "authentication_error", 403: "authentication_error", 429: "rate_limit_error"}

#: What an edit fails with that is no fault of its request, and the status of that.
AT_FAULT: Mapping[str, int] = {
    "deadline_exceeded": 504,
    "internal_error": 500,
    "marking_failed": 500,
    "moderation_failed": 503,
    "out_of_memory": 503,
    "storage_unavailable": 503,
    "worker_lost": 503,
}


class TheirError(BaseModel):
    """What is wrong."""

    message: str = Field(description="What was given, what was needed, what to do; of the first field that is wrong.")
    type: Kind
    param: str | None = Field(description="The field that is wrong, such as `edits.0.kind`.")
    code: str = Field(description="Stable; docs/errors.md says what each means.")


class TheirErrorAnswer(BaseModel):
    """An error, as OpenAI's clients read it."""

    error: TheirError


class EditCanceled(ServiceError):
    """The edit was canceled while its picture was waited for."""

    code = "edit_canceled"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class EditExpired(ServiceError):
    """No worker began the edit in time."""

    code = "edit_expired"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class StillBeingMade(ServiceError):
    """The picture was waited for as long as is waited."""

    code = "still_being_made"

    def __init__(self, edit_id: str) -> None:
        super().__init__(
            f"the picture is not made yet, and this answer waits no longer: fetch it with GET /v1/edits/{edit_id}"
        )


class NotMade(Exception):
    """The edit has failed.

    Args:
        code, message: of its end.
    """

    #: Of moderation alone: it is the picture or the prompt, not how it was sent.
    MODERATED: ClassVar[str] = "moderated"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        status = AT_FAULT.get(code, 400 if code == self.MODERATED else 422)
        self.answer = Answer(status, code, message)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's `responses`: which errors it may answer with."""
    return {status: {"model": TheirErrorAnswer, "description": phrase_of(status)} for status in statuses}


async def in_their_shape(request: Request, error: Exception) -> Response:
    """The answer to a request that an error ended."""
    answer = answer_of(request, error, error.answer if isinstance(error, NotMade) else None)
    headers = dict(answer.headers or {})
    if isinstance(error, StillBeingMade):
        # Their clients send again what a server error ended: that would be another picture.
        headers["x-should-retry"] = "false"
    return JSONResponse(body_of(answer), status_code=int(answer.status), headers=headers)


def body_of(answer: Answer) -> dict[str, Any]:
    """An answer of ours in their shape."""
    first = next(iter(answer.complaints), None)
    at_fault = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind: Kind = "server_error" if at_fault else _KINDS.get(answer.status, "invalid_request_error")
    if answer.code == NotMade.MODERATED:
        kind = "moderation_error"
    said = {
        "message": answer.detail if first is None else _sentence(first, len(answer.complaints)),
        "type": kind,
        "param": (_param(first) or None) if first else None,
        "code": first.code if first else answer.code,
    }
    return {"error": said}


def _sentence(first: Complaint, number: int) -> str:
    place = _param(first) or "the body"
    more = "" if number == 1 else f" ({number - 1} more to be changed)"
    return f"{place}: {first.detail}{more}"


def _param(complaint: Complaint) -> str:
    return complaint.pointer.removeprefix("/").replace("/", ".")
