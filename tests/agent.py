"""An agent: the official client of the Model Context Protocol, over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.patience import PATIENCE

#: How a client agrees on a version: by the one of 2026, or by the handshake of those before it.
MODES = ("auto", "legacy")


def agent(url: str, work: Callable[[Client], Awaitable[Any]], *, token: str | None = None, mode: str = "auto") -> Any:
    """What some work with a client gives, at the service of this URL."""

    async def run() -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http:
            transport = streamable_http_client(f"{url}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                return await work(client)

    return asyncio.run(run())
