"""How a route gets at what it works with."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from fastapi.security import HTTPBearer

from layers.request_headers import header_of
from process.logs import bind
from service.api_keys import Caller
from service.plane import Plane


# Neither this nor the next blocks, and what is not `async` FastAPI runs in a thread, which takes longer than Redis.
async def _plane(request: Request) -> Plane:
    return request.app.state.plane


PlaneOfApp = Annotated[Plane, Depends(_plane)]

_bearer = HTTPBearer(
    scheme_name="key",
    description="`Authorization: Bearer p2p_...`; not needed while no key was made.",
    auto_error=False,
)


#: Where a request's scope holds its caller, once the key was looked at.
_CALLER = "p2p.caller"


async def caller_of_request(request: Request) -> Caller:
    """Who sends a request, from here on in every line that is logged; the key is looked at once.

    Raises:
        Unauthenticated: nobody who has a key.
    """
    caller = request.scope.get(_CALLER)
    if caller is None:
        plane: Plane = request.app.state.plane
        caller = request.scope[_CALLER] = await plane.callers.of(header_of(request.scope, b"authorization"))
        bind(key_id=caller.owner)
    return caller


async def asks_for_key(request: Request, _: Annotated[object, Depends(_bearer)]) -> Caller:
    """The dependency of every route that needs a key; it is how `service.http.keyed` knows them."""
    return await caller_of_request(request)


CallerOfRequest = Annotated[Caller, Depends(asks_for_key)]
#: What a route may depend on whose function is called directly (`service.http.direct`), and how it is had.
PROVIDED: Mapping[Any, Callable[[Request], Awaitable[Any]]] = {_plane: _plane, asks_for_key: caller_of_request}
#: An id of ours, or a client's own.
EditId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The edit's id, or the one it was put by.")]


async def _in_turn_for_a_list(plane: PlaneOfApp, caller: CallerOfRequest) -> AsyncIterator[None]:
    async with plane.listings.turn(caller.owner):
        yield


#: What a route depends on that answers with a list. A page of a hundred edits holds the event loop longer than other
#: answers do, and a connection to Redis: without turns some hundred of them keep all other keys waiting. The place is
#: free before the answer is sent, so that who reads slowly holds none.
InTurnForList = Depends(_in_turn_for_a_list, scope="function")
