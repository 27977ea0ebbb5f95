"""A body must come at a pace: a client that stalls holds a connection, and what was read of its body, no longer.

What counts is the time for which the service waits for more of the body. It may wait `seconds` in all, and one more for
each `rate` bytes that came: a large picture over a slow line has its time, and a byte now and then has not. While the
service is busy itself nothing is counted.
"""

import asyncio
from collections.abc import Awaitable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layers.begun import Begun, begin
from layers.body_errors import BodyTooSlow
from layers.body_limit import WITHOUT_BODY


class BodyPace:
    """ASGI middleware: waiting longer than that for a body raises `BodyTooSlow` where the route reads.

    Args:
        rate: bytes a second.
    """

    def __init__(self, app: ASGIApp, *, seconds: float, rate: float) -> None:
        self._app = app
        self._seconds, self._rate = seconds, rate

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, with a body that is waited for so long."""
        if scope["type"] != "http" or scope["method"] in WITHOUT_BODY:
            return self._app(scope, receive, send)
        waited, length, is_whole = 0.0, 0, False

        async def paced() -> Message:
            nonlocal waited, length, is_whole
            if is_whole:  # what comes now is that the client leaves, and that may take long
                return await receive()
            message = begin(receive())
            if isinstance(message, Begun):
                began = perf_counter()
                try:
                    async with asyncio.timeout(self._seconds + length / self._rate - waited):
                        message = await message
                except TimeoutError:
                    raise BodyTooSlow(length, perf_counter() - began + waited, self._rate) from None
                waited += perf_counter() - began
            length += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            return message

        return self._app(scope, paced, send)
