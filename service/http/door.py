"""Refuses requests by their header alone, before their body is read: a dozen lines of work for each request.

Within CORS, so that a page that may call the API can read every refusal.
"""

from collections import Counter
from collections.abc import Awaitable, Set

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from layers.door_errors import HostNotAllowed, OriginNotAllowed, RepeatedHeader, RequestRefused, TooManyHeaders
from layers.hosts import AllowedHosts
from layers.origins import SAFE, AllowedOrigins
from layers.prefixed import path_of
from layers.request_headers import headers_of
from service.http.errors import problem_for

#: Header fields of one request. Browsers send 20, and a chain of proxies adds about ten.
MOST_HEADERS = 100
#: Fields that say one thing: of two, a proxy may have looked at the other one. Two of `host` name no host at all, and
#: each of two `origin` must be allowed.
SINGLE = frozenset({b"authorization", b"content-type", b"idempotency-key", b"last-event-id"})
#: What probes and scrapers ask for: they name a pod's address as the host.
PROBED = frozenset({"/livez", "/readyz", "/metrics"})


class Door:
    """ASGI middleware: refuses what names another host, comes from another site's page, or has too many headers.

    Args:
        any_host: paths that are answered under any host.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: AllowedHosts, origins: AllowedOrigins, any_host: Set[str] = frozenset()
    ) -> None:
        self._app = app
        self._hosts, self._origins, self._any_host = hosts, origins, any_host

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except RequestRefused as refusal:
                return _refused(refusal, scope, receive, send)
        return self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        fields, headers = scope["headers"], headers_of(scope)
        if len(fields) > MOST_HEADERS:
            raise TooManyHeaders(len(fields), MOST_HEADERS)
        host = headers.get(b"host", b"")
        if len(headers) < len(fields):
            names = Counter(name for name, _ in fields)
            if repeated := next((name for name in names if name in SINGLE and names[name] > 1), None):
                raise RepeatedHeader(repeated.decode())
            if names[b"host"] > 1:
                # Two of them are none: who reads the first and who reads the last would not agree.
                host = b""
        if not self._hosts.allows(host) and path_of(scope) not in self._any_host:
            raise HostNotAllowed
        if scope["method"] not in SAFE and not self._origins.allow(fields, host):
            raise OriginNotAllowed


async def _refused(refusal: RequestRefused, scope: Scope, receive: Receive, send: Send) -> None:
    response = await problem_for(Request(scope), refusal)
    await response(scope, receive, send)
