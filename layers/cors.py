"""Which web pages may call the API from a browser (CORS, in the Fetch standard): none unless `CORS_ORIGINS` names some.

Around everything else, for Starlette answers unexpected errors outside of what `add_middleware` adds, and a page that
may not read a 500 is shown a network error. No credentials: a key is a header that a page sets itself, never a cookie.
Artifacts that lie on S3 are read from there: what pages may do that is the bucket's to say.
"""

import re
from collections.abc import Callable, Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

#: What a page may send, beyond what any page may.
METHODS = ("GET", "POST", "PUT", "DELETE")
HEADERS = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Prefer", "traceparent",
)  # fmt: skip
#: What it may read of an answer, beyond what any page may.
EXPOSED = (
    "ETag", "Idempotency-Replayed", "Link", "Location", "Preference-Applied", "RateLimit", "RateLimit-Policy",
    "Retry-After", "WWW-Authenticate",
)  # fmt: skip
#: As a browser writes it (RFC 6454): scheme, host and port, nothing behind it.
_ORIGIN = re.compile(r"https?://[^/?#\s*]+", re.IGNORECASE)


def checked_origins(text: str) -> Sequence[str]:
    """Origins separated by spaces, or "*" for every page.

    Raises:
        ValueError: one is none, which no browser would ever send.
    """
    origins = text.split()
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(f'{origin!r} is no origin: write "https://example.com", without a path, or "*" for any')
    return [origin.lower() for origin in origins]


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call an app."""
    if origins:
        around(
            app,
            lambda inner: CORSMiddleware(
                inner, allow_origins=origins, allow_methods=METHODS, allow_headers=HEADERS, expose_headers=EXPOSED
            ),
        )


def around(app: FastAPI, wrap: Callable[[ASGIApp], ASGIApp]) -> None:
    """Put a middleware around everything that an app does, what it answers to unexpected errors included."""
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: wrap(build())  # type: ignore[method-assign]
