"""Why a request was refused at the door, before its body is read and before any route is looked for.

RequestRefused
├── HostNotAllowed         the Host header names another host than the service's own
├── OriginNotAllowed       a web page of another origin sends what changes something
├── RepeatedHeader         a header field that may come once came more than once
├── PathTooLong            a longer path than any address here has
├── TooManyHeaders         more header fields than are read
├── HeadTooLarge           a longer request line and header than is read
├── HeadTooSlow            the header took too long to come
├── TooManyChunks          the body came in more chunks than are read
├── BetweenChunksTooLong   the size of a chunk, or the trailer, is longer than is read
└── TooManyConnections     as many connections are open as there may be
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


class PathTooLong(RequestRefused):
    """The path is longer than that of any address of the service."""

    code = "path_too_long"
    headers = CLOSING

    def __init__(self, length: int, most: int) -> None:
        super().__init__(f"the path has {length} bytes, and at most {most} are read: no address here is longer")


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


class RepeatedHeader(RequestRefused):
    """A header field that may come once came more than once: who reads the first would not agree with a proxy."""

    code = "repeated_header"

    def __init__(self, name: str) -> None:
        super().__init__(f"the header {name} came more than once: send it once")


class TooManyChunks(RequestRefused):
    """The body came in very many small chunks: each costs as much to read as a large one."""

    code = "too_many_chunks"
    headers = CLOSING

    def __init__(self, chunks: int, length: int, free: int, bytes_a_chunk: int) -> None:
        super().__init__(
            f"{length} bytes of the body came in {chunks} chunks, and at most {free} and one for each {bytes_a_chunk} "
            "bytes are read: send larger chunks, or a Content-Length"
        )


class BetweenChunksTooLong(RequestRefused):
    """What stands between the chunks of a body, or after the last one, is long. Nothing of it is read."""

    code = "between_chunks_too_long"
    headers = CLOSING

    def __init__(self, most: int) -> None:
        super().__init__(
            f"the size of a chunk with its extensions, or the trailer of the body, is longer than the {most} bytes "
            "that are read: send chunks without extensions, and no trailer"
        )


class TooManyConnections(RequestRefused):
    """The service has as many connections open as it may, and each has a request in progress."""

    code = "too_many_connections"
    headers: Mapping[str, str] = {**CLOSING, "Retry-After": "5"}

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} connections are in use, and no more are taken: try again in a few seconds")
