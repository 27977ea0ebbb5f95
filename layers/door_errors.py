"""Why a request was refused at the door, before its body is read and before any route is looked for.

RequestRefused
├── HostNotAllowed       the Host header names another host than the service's own
├── OriginNotAllowed     a web page of another origin sends what changes something
├── TooManyHeaders       more header fields than are read
├── HeadTooLarge         a longer request line and header than is read
├── HeadTooSlow          the header took too long to come
└── TooManyConnections   as many connections are open as there may be
"""

from collections.abc import Mapping
from typing import ClassVar

from process.error_codes import message_of

#: The connection ends with this answer (RFC 9110, 7.6.1).
CLOSING: Mapping[str, str] = {"Connection": "close"}


class RequestRefused(Exception):
    """Base of the tree above; `headers` are those of the answer."""

    code: ClassVar[str] = "request_refused"
    headers: Mapping[str, str] = {}


class HostNotAllowed(RequestRefused):
    """The Host header is missing, or names a host that is not the service's own."""

    code = "host_not_allowed"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class OriginNotAllowed(RequestRefused):
    """A web page of another origin sent a request that changes something."""

    code = "origin_not_allowed"

    def __init__(self) -> None:
        super().__init__(message_of(self.code))


class TooManyHeaders(RequestRefused):
    """The request has more header fields than are read."""

    code = "too_many_headers"

    def __init__(self, count: int, most: int) -> None:
        super().__init__(f"the request has {count} header fields, and at most {most} are read: send fewer")


class HeadTooLarge(RequestRefused):
    """The request line and the header fields are longer than is read."""

    code = "head_too_large"
    headers = CLOSING

    def __init__(self, most: int) -> None:
        super().__init__(
            f"the request line and its header fields are longer than the {most} bytes that are read: shorten them"
        )


class HeadTooSlow(RequestRefused):
    """The request line and the header fields did not come in time."""

    code = "head_too_slow"
    headers = CLOSING

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the header of the request was not complete after {seconds:g} s: send it again at once")


class TooManyConnections(RequestRefused):
    """The service has as many connections open as it may, and each has a request in progress."""

    code = "too_many_connections"
    headers: Mapping[str, str] = {**CLOSING, "Retry-After": "5"}

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} connections are in use, and no more are taken: try again in a few seconds")
