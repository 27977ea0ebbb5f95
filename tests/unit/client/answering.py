"""A service that answers as a test says, over httpx's own mock transport, and remembers what it was asked."""

import json
from collections.abc import AsyncIterator, Callable, Iterator

import httpx

JOB = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
URL = "http://service.test"
SPEC = {
    "source": {"prompt": "a cat on a beach"},
    "targets": [{"prompt": "a dog on a beach", "edits": [{"kind": "replace"}]}],
}
#: A response, what makes one of the request, or what is raised.
Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Answering(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Gives its answers in turn, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), list[httpx.Request]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        given = answer if isinstance(answer, httpx.Response) else answer(request)
        # A copy, for the last one is given again: a response is read once.
        return httpx.Response(given.status_code, headers=given.headers, stream=given.stream)


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in pieces, and may break off."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces, self.closed = pieces, False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def edit(status: str = "queued", **fields: object) -> httpx.Response:
    """An edit as the service shows it."""
    job = {
        "id": JOB,
        "status": status,
        "model": "tiny",
        "created_at": "2026-01-31T12:00:00Z",
        "expires_at": "2026-02-01T12:00:00Z",
        "links": {"self": f"/v1/edits/{JOB}"},
    }
    return httpx.Response(202 if status == "queued" else 200, json=job | fields)


def artifact(name: str, content: bytes, url: str, kind: str = "image") -> dict[str, object]:
    """An artifact as an edit names it."""
    return {"name": name, "kind": kind, "content_type": "image/png", "bytes": len(content), "url": url}


def problem(status: int, code: str, *, retry_after: str | None = None, **fields: object) -> httpx.Response:
    """A problem document."""
    headers = {"Content-Type": "application/problem+json"} | ({"Retry-After": retry_after} if retry_after else {})
    body = {"title": "", "status": status, "detail": f"why it is {code}", "code": code} | fields
    return httpx.Response(status, content=json.dumps(body), headers=headers)


def stream(*pieces: bytes | Exception) -> httpx.Response:
    """Server-sent events, as they arrive."""
    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Stream(*pieces))


def sent(number: int, name: str, **data: object) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\nid: {number}-0\n\n".encode()
