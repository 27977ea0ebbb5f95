"""Large answers a piece at a time: the next one once the client has taken the last, and others have had their turn.

A server is handed a whole answer and copies what the client's system does not take at once. The page's largest file has
1.4 MB, and to ask for it takes 60 bytes: a hundred clients that ask for it together would hold the event loop for half
a second, and 140 MB of memory.
"""

import asyncio
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes of an answer that are sent before others have their turn; pieces of artifacts are as long.
PIECE = 65_536


class Pieces:
    """ASGI middleware: cuts what is sent into pieces."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, with an answer that is sent in pieces."""

        async def sent(message: Message) -> None:
            body = message.get("body", b"")
            if len(body) <= PIECE:
                await send(message)
                return
            for begin in range(0, len(body), PIECE):
                more = begin + PIECE < len(body) or message.get("more_body", False)
                await send({**message, "body": body[begin : begin + PIECE], "more_body": more})
                await asyncio.sleep(0)

        return self._app(scope, receive, sent if scope["type"] == "http" else send)
