"""Headers that every request for edits takes, and that its answer has: of an edit, a batch and an inversion."""

from typing import Annotated

from fastapi import Header, Response

Traceparent = Annotated[str, Header(description="W3C trace context; goes on to the worker and the webhook.")]
Prefer = Annotated[str, Header(description="`wait=n` answers once the edit has ended, after n seconds at the latest.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="The same key and body again give the same edit; the same key and another body are refused.",
    ),
]


def name_of(idempotency_key: str | None) -> str | None:
    """What the store calls a request with this key; None for a request without one."""
    return None if idempotency_key is None else f"key:{idempotency_key}"


def where(address: str, *, replayed: bool) -> dict[str, str]:
    """The headers that say where the edit or batch is, and whether an earlier request made it."""
    return {"Location": address} | ({"Idempotency-Replayed": "true"} if replayed else {})


def say_where(response: Response, address: str, *, replayed: bool) -> None:
    """Says so in an answer."""
    response.headers.update(where(address, replayed=replayed))
