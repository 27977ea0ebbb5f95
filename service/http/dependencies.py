"""How a route gets at what it works with."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from fastapi.security import HTTPBearer

from layers.access import route_of
from layers.request_headers import header_of
from process.logs import bind
from service.api_keys import Caller
from service.http.scopes import ABOUT, needed, refuse_beyond
from service.plane import Plane

#: Where a request's scope holds its caller, once the key was looked at.
_CALLER = "p2p.caller"


# Neither this nor the next blocks, and what is not `async` FastAPI runs in a thread, which takes longer than Redis.
async def _plane(request: Request) -> Plane:
    plane, caller = request.app.state.plane, request.scope.get(_CALLER)
    # What takes a body knows its caller by now (`service.http.keyed`), and nothing else names a model.
    return plane if caller is None else plane.for_models(caller.models)


PlaneOfApp = Annotated[Plane, Depends(_plane)]

_bearer = HTTPBearer(
    scheme_name="key",
    description="`Authorization: Bearer p2p_...`, an API key; not needed while no key was made. Or a token (JWT) of "
    "the identity provider that the installation names, which needs the scopes that each operation lists. "
    + " ".join(f"`{scope}`: {about}." for scope, about in ABOUT.items()),
    auto_error=False,
)


async def caller_of_request(request: Request) -> Caller:
    """Who sends a request, from here on in every line that is logged; the key is looked at once.

    Raises:
        Unauthenticated, InvalidToken: nobody who has a key, or a good token.
        InsufficientScope: a token that does not allow what this address does.
    """
    caller = request.scope.get(_CALLER)
    if caller is None:
        plane: Plane = request.app.state.plane
        caller = await plane.callers.of(header_of(request.scope, b"authorization"))
        bind(key_id=caller.owner)
        if caller.scopes is not None:
            refuse_beyond(caller.scopes, needed(request.method, route_of(request.scope)))
        request.scope[_CALLER] = caller
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
