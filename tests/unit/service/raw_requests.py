"""Requests as bytes that no client library would send, given to the application itself."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answered:
    """What an application answered.

    Attributes:
        asked: how often it asked for a part of the body.
    """

    status: int
    headers: Headers
    body: bytes
    asked: int

    @property
    def problem(self) -> dict:
        """The body of an error."""
        return json.loads(self.body)


def request(
    client, method: str, path: str, headers: Headers = (), pieces: Sequence[bytes] = (), *, ends: bool = False
) -> Answered:
    """Sends a body in pieces, and then nothing: its sender stalls, or with `ends` has said that it was all."""
    sent: list[dict] = []
    left, asked = [*pieces], []
    before, _, query = path.partition("?")

    async def receive():
        asked.append(True)
        if left or (ends and len(asked) == 1):
            piece = left.pop(0) if left else b""
            return {"type": "http.request", "body": piece, "more_body": bool(left) or not ends}
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": before,
        "raw_path": before.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "headers": list(headers),
    }

    async def call():
        await client.app(scope, receive, send)

    client.portal.call(call)
    body = b"".join(message.get("body", b"") for message in sent)
    return Answered(sent[0]["status"], sent[0]["headers"], body, len(asked))
