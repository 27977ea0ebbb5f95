"""One request, passed on to one cell and back: nothing is kept that need not be, in either direction."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

import httpx
from starlette.types import Receive, Scope, Send

from process.metrics import PASSED_ON_SECONDS
from router.cells import Cell

Headers = Sequence[tuple[bytes, bytes]]

#: Of one connection and not of the request (RFC 9110, 7.6.1), and what this hop answers by itself.
_OF_THE_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding "
    b"upgrade expect".split()
)
#: Seconds to connect, and until a cell has taken or sent the next piece. A `wait` is silent for 60, an event stream for
#: 15 (`service.edits.event_stream.QUIET`).
TIMEOUT = httpx.Timeout(90, connect=2)
#: Idle connections to cells end before a cell ends them after `IDLE_SECONDS` (65): one that is just being closed would
#: fail a request.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=30)


class NotSent(Exception):
    """Nothing of the request has reached the cell: another one may have it."""


class InDoubt(Exception):
    """The cell did not answer, and may have acted all the same."""


class ClientLeft(Exception):
    """The client has closed its connection."""


class Body:
    """A request's body, which is read once: as it comes, or whole where it is looked at or may be sent twice."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self._over = asyncio.Event()
        self.is_begun = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; raises `ClientLeft`."""
        self.is_begun = True
        while not self._over.is_set():
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            if not message.get("more_body", False):
                self._over.set()
            if piece := message.get("body", b""):
                yield piece

    async def whole(self) -> bytes:
        """All of it; `layers.body_limit` bounds it. Raises `ClientLeft`."""
        return b"".join([piece async for piece in self.pieces()])

    async def client_left(self) -> None:
        """Returns when the client has closed its connection after its body."""
        await self._over.wait()
        while (await self.receive())["type"] != "http.disconnect":
            pass


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A request as it is sent to a cell.

    Attributes:
        target: path and query as they came, still encoded.
    """

    method: str
    target: bytes
    headers: Headers

    @classmethod
    def of(cls, scope: Scope) -> "Passed":
        """A request of the server's, with what says where it came from."""
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        headers = _end_to_end(scope["headers"])
        client = scope.get("client")
        came = [text for name, text in headers if name == b"x-forwarded-for"] + ([client[0].encode()] if client else [])
        given = {name for name, _ in headers}
        host = next((text for name, text in headers if name == b"host"), b"")
        added = [(b"x-forwarded-for", b", ".join(came))] if came else []
        # A proxy before this one knows better how the client came.
        for name, text in ((b"x-forwarded-proto", scope["scheme"].encode()), (b"x-forwarded-host", host)):
            if name not in given and text:
                added.append((name, text))
        kept = [(name, text) for name, text in headers if name != b"x-forwarded-for"]
        return cls(method=scope["method"], target=target, headers=[*kept, *added])

    def header(self, name: bytes) -> str:
        """A field's text; "" where it is absent."""
        return next((text.decode("latin-1") for each, text in self.headers if each == name), "")


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Without the fields of the hop, and those that `Connection` names as such."""
    lowered = [(name.lower(), text) for name, text in headers]
    named = {each.strip().lower() for name, text in lowered if name == b"connection" for each in text.split(b",")}
    return [(name, text) for name, text in lowered if name not in _OF_THE_HOP and name not in named]


async def passed_on(
    client: httpx.AsyncClient, cell: Cell, request: Passed, content: bytes | AsyncIterator[bytes]
) -> httpx.Response:
    """The cell's answer, whose body is still to come; the caller closes it.

    Raises:
        NotSent, InDoubt.
    """
    headers = request.headers
    if isinstance(content, bytes):
        headers = [(name, text) for name, text in headers if name != b"content-length"]
    sent = httpx.Request(
        request.method,
        httpx.URL(cell.url).copy_with(raw_path=request.target),
        headers=headers,
        content=content or None,
        extensions={"timeout": TIMEOUT.as_dict()},
    )
    began, result = time.perf_counter(), "client_left"
    try:
        answer = await client.send(sent, stream=True)
        result = f"{answer.status_code // 100}xx"
        return answer
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        result = "not_sent"
        raise NotSent from error
    except httpx.HTTPError as error:
        result = "in_doubt"
        raise InDoubt from error
    finally:
        PASSED_ON_SECONDS.labels(cell.name, result).observe(time.perf_counter() - began)


async def answered(response: httpx.Response, send: Send) -> None:
    """Give a cell's answer to the client, each piece as soon as it comes.

    An answer that breaks off is left as it is: the server then ends the connection, and the client sees that it is not
    whole.
    """
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": _end_to_end(response.headers.raw)}
    )
    if response.is_stream_consumed:
        return await send({"type": "http.response.body", "body": response.content, "more_body": False})
    try:
        async for piece in response.aiter_raw():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except httpx.HTTPError:
        return None
    await send({"type": "http.response.body", "body": b"", "more_body": False})
