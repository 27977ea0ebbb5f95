"""`python -m benchmarks.access`: what measuring and logging a request costs, around an application that does nothing.

Microseconds of processor time a request, so that whatever else runs does not count: of the whole middleware with its
line written, of it with logs off, and for comparison of Starlette's `BaseHTTPMiddleware`, empty.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from statistics import median
from time import process_time
from types import SimpleNamespace

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layers.access import Access
from process.logs import set_up_logs

HEADERS = [(name, b"x" * 20) for name in (b"host", b"accept", b"user-agent", b"accept-encoding", b"authorization")]
START: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b""}


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """The smallest application that answers."""
    scope["route"], scope["path_params"] = ROUTE, {"job_id": "0" * 32}
    await send(START)
    await send(BODY)


ROUTE = SimpleNamespace(path_format="/v1/edits/{job_id}")


async def passing(request, call_next):
    """What `BaseHTTPMiddleware` calls where nothing is to be done."""
    return await call_next(request)


async def seconds(app: ASGIApp, requests: int) -> float:
    """How long so many requests take, one after the other."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        pass

    began = process_time()
    for _ in range(requests):
        await app({"type": "http", "method": "GET", "path": f"/v1/edits/{'0' * 32}", "headers": HEADERS}, receive, send)
    return process_time() - began


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer requests")
    requests, rounds = (2_000, 5) if parser.parse_args().quick else (20_000, 15)
    # Lines are formatted and written as when serving, to where nobody reads them.
    sys.stderr = open(os.devnull, "w", buffering=1)  # noqa: SIM115
    set_up_logs("json")
    access = logging.getLogger("layers.access")
    apps: dict[str, ASGIApp] = {"bare": nothing, "whole": Access(nothing), "unlogged": Access(nothing)}
    apps["base_http"] = BaseHTTPMiddleware(nothing, passing)
    taken: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(rounds):  # in turn, so that all of them see the same machine
        for name, app in apps.items():
            access.setLevel(logging.WARNING if name == "unlogged" else logging.INFO)
            taken[name].append(asyncio.run(seconds(app, requests)))
    micro = {name: median(times) / requests * 1e6 for name, times in taken.items()}
    more = {name: round(micro[name] - micro["bare"], 2) for name in ("whole", "unlogged", "base_http")}
    print(
        json.dumps({"access_us": more["whole"], "without_log_us": more["unlogged"], "base_http_us": more["base_http"]})
    )


if __name__ == "__main__":
    main()
