import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx
import pytest

from p2p_client import AsyncClient, Client
from tests.unit.client.answering import URL, Answering


@pytest.fixture(params=["blocking", "awaiting"])
def call(request) -> Callable[..., Any]:
    """Calls a method of either client at a service; of what iterates, it gives all of it."""
    return blocking if request.param == "blocking" else awaiting


#: Seconds until a client gives up, unless a test is about that; nothing here takes a second.
PATIENT = 120


def blocking(
    service: Answering, method: str, *args: object, key: str | None = None, patience: float = PATIENT, **kwargs: object
) -> Any:
    with httpx.Client(transport=service) as http, Client(URL, key, patience=patience, http=http) as client:
        # Pauses as short as they get: test_pauses.py is about how long they are.
        client.api = replace(client.api, chance=lambda: 0.0)
        outcome = getattr(client, method)(*args, **kwargs)
        return list(outcome) if isinstance(outcome, Iterator) else outcome


def awaiting(
    service: Answering, method: str, *args: object, key: str | None = None, patience: float = PATIENT, **kwargs: object
) -> Any:
    async def called() -> Any:
        async with (
            httpx.AsyncClient(transport=service) as http,
            AsyncClient(URL, key, patience=patience, http=http) as client,
        ):
            client.api = replace(client.api, chance=lambda: 0.0)
            outcome = getattr(client, method)(*args, **kwargs)
            if not isinstance(outcome, AsyncIterator):
                return await outcome
            async with aclosing(outcome):
                return [each async for each in outcome]

    return asyncio.run(called())
