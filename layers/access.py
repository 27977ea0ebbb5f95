"""Every request measured and logged, in one line and one observation: a dozen microseconds (`benchmarks.access`).

Pure ASGI, and outside everything else that this service adds. Starlette's `BaseHTTPMiddleware` would start a task and
a stream for every request, and labels are looked up once a route, not once a request.
"""

import logging
from collections.abc import Mapping
from time import perf_counter

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layers.heads import IS_HEAD
from layers.request_headers import headers_of
from process.logs import CONTEXT, info
from process.metrics import HTTP_REQUEST_SECONDS
from process.trace import Trace

log = logging.getLogger("layers.access")

#: What no route answers for. A path of a client's own choosing is never a label.
NO_ROUTE = "none"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
#: What paths begin with that name somebody behind it.
NAMING_PEOPLE = ("/v1/subjects/",)


class Access:
    """ASGI middleware: notes each request's route, status and time, and its trace in the log context."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._children: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, took, status = perf_counter(), -1.0, 500

        async def noted(message: Message) -> None:
            nonlocal took, status
            if message["type"] == "http.response.start":
                # Not the end: an event stream ends when its listener wants.
                took, status = perf_counter() - began, message["status"]
            await send(message)

        trace = traced(scope)
        # Never reset: a request is a task of its own, and what fails is logged outside of here, still under its trace.
        CONTEXT.set({} if trace is None else {"trace_id": trace.trace_id})
        try:
            await self._app(scope, receive, noted)
        finally:
            seconds = took if took >= 0 else perf_counter() - began
            self._child(method_of(scope), route_of(scope), status // 100).observe(seconds)
            info(log, f"{scope['method']} {path_of(scope)} {status}", said(scope, status, seconds))

    def _child(self, method: str, route: str, status: int) -> Histogram:
        key = (method, route, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = HTTP_REQUEST_SECONDS.labels(method, route, f"{status}xx")
        return child


def traced(scope: Scope) -> Trace | None:
    """The trace that a request belongs to, if it says so."""
    said = headers_of(scope).get(b"traceparent")
    return None if said is None else Trace.parse(said.decode("latin-1"))


def method_of(scope: Scope) -> str:
    """A request's method as a label."""
    if IS_HEAD in scope:
        return "HEAD"
    return scope["method"] if scope["method"] in _METHODS else _OTHER


def route_of(scope: Scope) -> str:
    """The template of a request's route, once the router has found it."""
    route = scope.get("route")
    return NO_ROUTE if route is None else route.path_format


def path_of(scope: Scope) -> str:
    """A request's path as it is logged; of a path that names a person, who is to be forgotten, without the name."""
    path = scope["path"]
    return next((f"{place}..." for place in NAMING_PEOPLE if path.startswith(place)), path)


def said(scope: Scope, status: int, seconds: float) -> Mapping[str, object]:
    """What the line of a request says: its path, but never its query, which can hold a signature."""
    # Whose request it was and which job it was about stand in the context, once they are known.
    return {"method": scope["method"], "path": path_of(scope), "status": status, "seconds": round(seconds, 6)}
