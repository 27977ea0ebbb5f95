"""The key before the body: a route that needs a key reads nothing of a request without a good one.

FastAPI reads and parses a body before it asks any dependency, and a form is spooled to the disk meanwhile. So a route
that depends on the caller looks at the key first, and its dependency takes what was found
(`service.http.dependencies`).
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.http.dependencies import asks_for_key, caller_of_request

Answering = Callable[[Request], Coroutine[Any, Any, Response]]


def key_first(route: APIRoute, answered: Answering) -> Answering:
    """How a route answers, with the caller known before anything of the body is read."""
    if not needs_key(route.dependant):
        return answered

    async def keyed(request: Request) -> Response:
        await caller_of_request(request)
        return await answered(request)

    return keyed


def needs_key(dependant: Dependant) -> bool:
    """Whether a route, or anything that it depends on, asks who calls."""
    return dependant.call is asks_for_key or any(map(needs_key, dependant.dependencies))
