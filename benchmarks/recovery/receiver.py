"""Whom the senders tell of ended jobs; one for all worlds, inside the benchmark's process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import redis
import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks.recovery.world import World
from service.jobs import keys
from stack.redis_server import free_port


@asynccontextmanager
async def receiver(worlds: Mapping[str, World]) -> AsyncIterator[str]:
    """The address under which `/{world}` takes webhooks."""
    app = FastAPI()

    @app.post("/{name}")
    async def told(name: str, request: Request) -> Response:
        world, message = worlds[name], await request.json()
        try:
            # An entry is deleted only once it was answered: all that is told of still stands here, each by itself.
            entries = await world.client.xrange(keys.OUTBOX)
        except redis.RedisError:
            return Response(status_code=503)
        for entry_id, entry in entries:
            world.entries.setdefault(entry["job"], set()).add(entry_id)
        world.told(message["data"]["id"])
        return Response(status_code=204)

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off"))
    # Ctrl-C is the benchmark's own.
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving
