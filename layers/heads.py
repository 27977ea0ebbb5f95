"""`HEAD` wherever there is `GET`: the same status and headers, and no body (RFC 9110, 9.3.2).

A request for the head is answered by whatever answers `GET`, and its body is thrown away. What
has no known length is a stream of events: it is closed at once, so that asking for its head holds no connection.
openapi.yaml does not list these operations: they would say everything twice.
"""

from collections.abc import Awaitable

from anyio import CancelScope
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Marks a request that was for the head alone, in the scope that `GET`'s route is given.
IS_HEAD = "p2p.is_head"


class Heads:
    """ASGI middleware: has `GET`'s route answer `HEAD`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, as `GET` where it is for the head."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        return (self._head if is_head else self._app)(scope, receive, send)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A scope of its own: the server looks at its own again, to know that no body follows.
        inner = {**scope, "method": "GET", IS_HEAD: True}
        try:
            with CancelScope() as answering:
                await self._app(inner, receive, _Head(send, answering).sent)
        finally:
            # What measures requests asks for their route.
            scope.update({name: inner[name] for name in ("route",) if name in inner})


class _Head:
    """Sends an answer's head."""

    def __init__(self, send: Send, answering: CancelScope) -> None:
        self._send, self._answering = send, answering

    async def sent(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            return
        await self._send(message)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        if all(name.lower() != b"content-length" for name, _ in message["headers"]):
            self._answering.cancel()
