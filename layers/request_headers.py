"""A request's header fields, read once: Starlette looks through all of them for each one that is asked for."""

from collections.abc import Mapping

from starlette.types import Scope

#: Where a request's scope holds them.
_HEADERS = "p2p.headers"


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """By their names in small letters; of one that comes twice the first, as Starlette reads it."""
    headers = scope.get(_HEADERS)
    if headers is None:
        headers = scope[_HEADERS] = dict(reversed(scope["headers"]))
    return headers


def header_of(scope: Scope, name: bytes) -> str:
    """One of them as text; empty if there is none."""
    return headers_of(scope).get(name, b"").decode("latin-1")
