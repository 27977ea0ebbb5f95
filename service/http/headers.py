"""Headers that every request for edits takes, and that its answer has: of an edit, a batch and an inversion."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Header, Response

from jobs.quotas import Left, rate_limit_headers

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


def where(address: str, *, replayed: bool, left: Sequence[Left] = ()) -> dict[str, str]:
    """The headers that say where the edit or batch is, whether a request before made it, and what is left of limits."""
    headers = {"Location": address} | ({"Idempotency-Replayed": "true"} if replayed else {})
    return headers | rate_limit_headers(left) if left else headers


def say_where(response: Response, address: str, *, replayed: bool, left: Sequence[Left] = ()) -> None:
    """Says so in an answer."""
    response.headers.update(where(address, replayed=replayed, left=left))
