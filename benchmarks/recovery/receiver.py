"""The receiver of webhooks; one for all worlds, inside the benchmark's process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks.recovery.world import World
from stack.ports import free_port


@asynccontextmanager
async def receiver(worlds: Mapping[str, World]) -> AsyncIterator[str]:
    """The address under which `/{world}` takes webhooks."""
    app = FastAPI()

    @app.post("/{name}")
    async def told(name: str, request: Request) -> Response:
        worlds[name].told((await request.json())["data"]["id"], await request.body())
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
