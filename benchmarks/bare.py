"""What `benchmarks.api` compares with: one `async def` route, one round trip to Redis, a body of the same size.

`python -m benchmarks.bare PORT STATUS_BYTES ACCEPTED_BYTES`, with REDIS_URL in the environment; both settings and
client are the API's.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request, Response

from service.connections import redis_client
from service.server.listening import UVICORN


def create_app(redis_url: str, status_bytes: int, accepted_bytes: int) -> FastAPI:
    """An API that keeps and gives bodies."""

    @asynccontextmanager
    async def connected(app: FastAPI) -> AsyncIterator[None]:
        app.state.client = redis_client(redis_url, decode_responses=False)
        await app.state.client.set("status", b"x" * status_bytes)
        yield
        await app.state.client.aclose()

    app, accepted = FastAPI(lifespan=connected), b"x" * accepted_bytes

    @app.get("/v1/edits/{edit_id}")
    async def status(edit_id: str, request: Request) -> Response:
        return Response(await request.app.state.client.get("status"), media_type="application/json")

    @app.post("/v1/edits")
    async def submit(request: Request) -> Response:
        await request.app.state.client.set("job", await request.body())
        return Response(accepted, status_code=202, media_type="application/json")

    return app


if __name__ == "__main__":
    port, status_bytes, accepted_bytes = sys.argv[1:]
    uvicorn.run(create_app(os.environ["REDIS_URL"], int(status_bytes), int(accepted_bytes)), port=int(port), **UVICORN)
