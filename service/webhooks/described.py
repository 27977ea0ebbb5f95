"""The messages in the API's description: OpenAPI 3.1 `webhooks`, from which generated clients know their types."""

from typing import Annotated

from fastapi import FastAPI, Header

from service.jobs.model import EVENT_NAMES
from service.webhooks.messages import EditEnded

_ANSWERS: dict[int | str, dict] = {
    204: {"description": "Taken. So is any other 2xx."},
    410: {"description": "Not wanted: this end is not sent again."},
    "default": {"description": "Not taken: it is sent again, on a schedule, not before `Retry-After`."},
}


async def edit_ended(
    body: EditEnded,
    webhook_id: Annotated[str, Header(description="The same in every attempt: what you know a repetition by.")],
    webhook_timestamp: Annotated[int, Header(description="Second of the attempt, since 1970.")],
    webhook_signature: Annotated[
        str | None,
        Header(description="By Standard Webhooks 1.0: `v1,` and base64, one for each secret, separated by spaces."),
    ] = None,
    traceparent: Annotated[
        str | None, Header(description="Goes on from the one of the request that asked for the edit.")
    ] = None,
) -> None:
    """An edit has ended. Verify the signature over the bytes of the body, then fetch the edit."""


def describe_webhooks(app: FastAPI) -> None:
    """Have an app's description tell of what is sent."""
    for event in EVENT_NAMES:
        app.webhooks.add_api_route(
            event,
            edit_ended,
            methods=["POST"],
            status_code=204,
            responses=_ANSWERS,
            tags=["webhooks"],
            operation_id=f"told_of_{event.replace('.', '_')}",
        )
