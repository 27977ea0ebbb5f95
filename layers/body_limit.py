"""Bodies larger than the limit are not read.

FastAPI's own `max_body_size` answers in plain text as soon as the client announces its size, where every error of this
service is a problem document; so the limit stands here. It holds for what is read: a body without a length, too.
"""

from collections.abc import Awaitable, Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layers.prefixed import path_of
from layers.request_headers import headers_of

#: Methods whose routes read no body (RFC 9110, 9.3.1): to watch over one would cost each of them for nothing.
WITHOUT_BODY = frozenset({"GET", "HEAD"})


class BodyLimit:
    """ASGI middleware: reading beyond `max_bytes` raises a 413 where the route reads.

    Args:
        of_path: limits of the paths that have one of their own; one that is larger than others' is for forms alone.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, of_path: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._max_bytes, self._of_path = max_bytes, of_path or {}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on with a counted body."""
        if scope["type"] != "http" or scope["method"] in WITHOUT_BODY:
            return self._app(scope, receive, send)
        total, most = 0, self._most(scope)

        async def counted() -> Message:
            nonlocal total
            if _announced(scope) > most:
                raise HTTPException(413)
            message = await receive()
            total += len(message.get("body", b""))
            if total > most:
                raise HTTPException(413)
            return message

        return self._app(scope, counted, send)

    def _most(self, scope: Scope) -> int:
        is_form = headers_of(scope).get(b"content-type", b"").lower().startswith(b"multipart/")
        most = self._of_path.get(path_of(scope), self._max_bytes)
        return most if is_form else min(most, self._max_bytes)


def _announced(scope: Scope) -> int:
    length = headers_of(scope).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0
