"""Where agents come in: one address, `POST /mcp`, for MCP's Streamable HTTP.

The official SDK speaks the protocol. This service does what it does for every route: the key is looked at before a byte
of the body is read, and the body is whole, bounded and JSON before the SDK sees it. Hosts and origins were checked
before (`service.http.door`). Each request stands for itself: no session is kept, so any API process answers any
request, and nothing is left when a client goes. Streams that a server opens by itself (`GET`) are not offered.

The SDK takes half a second and 24 MB to import: only `opened` does, where `MCP` is set.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layers.request_headers import header_of
from service.http.bodies import read_json, whole_body
from service.http.dependencies import caller_of_request

PATH = "/mcp"
#: Bytes of a request: an edit with eight prompts of 2,000 characters in four bytes each.
MOST_BYTES = 65_536


class McpDoor:
    """An ASGI application: the key, the body, then the SDK.

    Attributes:
        route: its address. Every other method than POST is answered 405, as the protocol has it.
    """

    def __init__(self) -> None:
        self.route = Route(PATH, self, methods=["POST"], include_in_schema=False)
        self._answer: ASGIApp | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Answers requests for as long as the block runs."""
        from service.mcp.serving import answering

        async with answering(MOST_BYTES) as self._answer:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what is raised here becomes a problem document outside."""
        # Routes of FastAPI say so themselves; the scopes and the metrics of a request go by it.
        scope["route"] = self.route
        request = Request(scope, receive)
        await caller_of_request(request)
        body = await whole_body(receive)
        read_json(body, header_of(scope, b"content-type"))
        assert self._answer is not None, "requests come while the application's lifespan runs"
        await self._answer(scope, _again(body, receive), send)


def _again(body: bytes, receive: Receive) -> Receive:
    """What a client sent, once more; then whether it is still there."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received
