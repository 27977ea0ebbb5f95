"""The messages in the API's description: OpenAPI 3.1 `webhooks`, from which generated clients know their types."""

from typing import Annotated, get_args

from fastapi import FastAPI, Header

from jobs.batches import BatchEventName
from jobs.model import EVENT_NAMES
from webhooks.messages import BatchEnded, EditEnded

_ANSWERS: dict[int | str, dict] = {
    204: {"description": "Taken. So is any other 2xx."},
    410: {"description": "Not wanted: this end is not sent again."},
    "default": {"description": "Not taken: it is sent again, on a schedule, not before `Retry-After`."},
}


WebhookId = Annotated[str, Header(description="The same in every attempt: what you know a repetition by.")]
WebhookTimestamp = Annotated[int, Header(description="Second of the attempt, since 1970.")]
WebhookSignature = Annotated[
    str | None,
    Header(description="By Standard Webhooks 1.0: `v1,` and base64, one for each secret, separated by spaces."),
]
Traceparent = Annotated[str | None, Header(description="Goes on from the one of the request that asked for the edit.")]


async def edit_ended(
    body: EditEnded,
    webhook_id: WebhookId,
    webhook_timestamp: WebhookTimestamp,
    webhook_signature: WebhookSignature = None,
    traceparent: Traceparent = None,
) -> None:
    """An edit has ended. Verify the signature over the bytes of the body, then fetch the edit."""


async def batch_ended(
    body: BatchEnded,
    webhook_id: WebhookId,
    webhook_timestamp: WebhookTimestamp,
    webhook_signature: WebhookSignature = None,
    traceparent: Traceparent = None,
) -> None:
    """All edits of a batch have ended. Sent once, whatever became of each."""


def describe_webhooks(app: FastAPI) -> None:
    """Add what is sent to an app's description."""
    for event in (*EVENT_NAMES, *get_args(BatchEventName)):
        app.webhooks.add_api_route(
            event,
            edit_ended if event in EVENT_NAMES else batch_ended,
            methods=["POST"],
            status_code=204,
            responses=_ANSWERS,
            tags=["webhooks"],
            operation_id=f"told_of_{event.replace('.', '_')}",
        )
