"""`PUBLIC_URL`: where clients reach the API, and the path before its addresses that a proxy takes off.

With `https://example.com/edits-api` a client asks for `/edits-api/v1/edits`, and the proxy in front hands on
`/v1/edits`. The prefix is put back at the door, as ASGI has it (`root_path`, and a `path` that begins with it): from
there on every address of the request is the client's. A request that still has its prefix is taken as well, so that
links work without the proxy, too.
"""

from collections.abc import Awaitable
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

#: Where our own addresses begin. A prefix that begins so looks like an address whose prefix is taken off.
OWN = frozenset({"v1", "livez", "readyz", "metrics", "docs", "redoc", "openapi.json", "playground"})


def path_of(scope: Scope) -> str:
    """The path of a request as our routes have it, without the prefix."""
    return scope["path"].removeprefix(scope.get("root_path", ""))


class Prefixed:
    """ASGI middleware: puts the prefix before each request's path that a proxy has taken off.

    Args:
        prefix: as it stands in a link; not empty.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._raw, self._prefix = prefix.encode(), unquote(prefix)
        self._takes_whole = self._prefix.split("/")[1] not in OWN

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on under its whole path."""
        if scope["type"] == "http":
            path, raw = scope["path"], scope.get("raw_path") or scope["path"].encode()
            if not (self._takes_whole and f"{path}/".startswith(f"{self._prefix}/")):
                path, raw = self._prefix + path, self._raw + raw
            if path == self._prefix:
                path, raw = f"{path}/", raw + b"/"
            # In place: what measures requests looks at the same scope again, for the route.
            scope.update(root_path=self._prefix, path=path, raw_path=raw)
        return self._app(scope, receive, send)
