"""The API as it is served, with a watch over its event loop: `python -m benchmarks.hostile.server`.

Its settings are the API's. `GET /held` answers for how many milliseconds the loop was held at most since it was asked
last, and is no part of the API.
"""

import sys

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.hostile.watch import Watch
from service.__main__ import SWITCH, described, spare_connections
from service.server.listening import options
from service.settings import Settings


def watched(app: ASGIApp, watch: Watch) -> ASGIApp:
    """An app that also tells what the watch has seen."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/held":
            await app(scope, receive, send)
            return
        body = f"{watch.taken() * 1000:.3f}".encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return served


if __name__ == "__main__":
    settings, watch = Settings(), Watch()
    app = watched(described(settings), watch)
    spare_connections()
    sys.setswitchinterval(SWITCH)
    watch.begin()
    uvicorn.run(app, host=settings.host, port=settings.port, **options(settings))
