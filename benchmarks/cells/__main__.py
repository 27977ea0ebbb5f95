"""`python -m benchmarks.cells`: accepted edits while a cell loses its Redis, its workers and its API.

Two cells of real processes with the built-in model, each with a Redis and an S3 server of its own, and a router before
them; clients of four keys post through the router. One after another, while edits go on being accepted elsewhere: the
first cell's Redis is killed and started again, its workers are cut off from it and joined again, its API is killed and
started again. Then every edit that was answered with 202 must have ended once, and its webhook must have come.

In network namespaces, which needs root and iproute2; with `--plain` on loopback, where workers are stopped by SIGSTOP
past their lease in place of being cut off.
"""

import argparse
import asyncio
import json
import logging
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks.cells.cell import Cell, Programs, wait_until
from benchmarks.cells.load import Load
from benchmarks.cells.places import OnLoopback, Places, in_namespaces, may_make_namespaces
from router.cells import Cell as RouterCell
from router.cells import in_order, key_of
from stack.ports import free_port
from stack.processes import python

#: The cells, and keys whose first cell each is.
NAMES, KEYS = ("e1", "e2"), 2
#: Edits that go on to be accepted in each stage, and seconds between two looks of the supervisor.
MORE, LOOK = 5, 0.2

Fault = Callable[[Cell, Places, Load], Awaitable[None]]


async def redis_killed(cell: Cell, places: Places, load: Load) -> None:
    """Its Redis ends by SIGKILL, and is back with its append-only file once the other cell has taken more."""
    cell.programs.kill("redis")
    await load.more(MORE, NAMES[1])
    cell.programs.come_back("redis")


async def workers_cut_off(cell: Cell, places: Places, load: Load) -> None:
    """Its workers reach nothing for longer than a lease (10 s); their jobs are begun again."""
    places.cut(cell.workers_place)
    if not cell.workers_place.cable:
        cell.programs.signal(cell.workers, signal.SIGSTOP)
    await load.more(MORE)
    await asyncio.sleep(12)
    places.mend(cell.workers_place)
    if not cell.workers_place.cable:
        cell.programs.signal(cell.workers, signal.SIGCONT)


async def api_killed(cell: Cell, places: Places, load: Load) -> None:
    """Its API ends by SIGKILL, and is back once the other cell has taken more."""
    cell.programs.kill("service")
    await load.more(MORE, NAMES[1])
    cell.programs.come_back("service")


FAULTS: tuple[Fault, ...] = (redis_killed, workers_cut_off, api_killed)


async def tried(places: Places, folder: Path, workers: int) -> Mapping:
    """The report."""
    router_place, router_port = places.place(), free_port()
    public = f"http://{router_place.host}:{router_port}"
    cells = [Cell(name, folder / name, places.place(), places.place(), public) for name in NAMES]
    (folder / "router").mkdir()
    router = Programs(folder / "router")
    with ExitStack() as started:
        started.callback(router.end)
        for cell in cells:
            started.callback(cell.programs.end)
            cell.start_stores()
        keys = [key for cell in NAMES for key in keys_of(cell, cells)]
        cells[1].admin("keys", "import", given=cells[0].admin("keys", "export"))
        for cell in cells:
            cell.start_service(workers)
        named = " ".join(f"{cell.name}={cell.url}" for cell in cells)
        environment = {"CELLS": named, "HOST": router_place.host, "PORT": str(router_port)}
        router.start("router", router_place.command(python("-m", "router")), environment)
        for cell in cells:
            await asyncio.to_thread(wait_until, cell.is_ready, f"cell {cell.name}, see {folder}")
        port = free_port()
        load = Load(public, keys, f"http://{places.host}:{port}/told")
        async with receiver(load, places.host, port), supervised([router, *(cell.programs for cell in cells)]):
            began, over = time.monotonic(), asyncio.Event()
            posting = asyncio.create_task(load.post_on(over))
            await load.more(MORE)
            for fault in FAULTS:
                await or_failed(posting, fault(cells[0], places, load))
                await or_failed(posting, load.more(MORE, NAMES[0]))
            over.set()
            await posting
            await load.settled()
            seconds = time.monotonic() - began
            found = await load.verdict()
    by_cell = Counter(edit.partition("-")[0] for edit in load.accepted)
    return {
        "accepted": len(load.accepted),
        **found,
        "seconds": round(seconds, 1),
        "by_cell": dict(sorted(by_cell.items())),
        "refused": dict(load.refused),
        "faults": [fault.__name__ for fault in FAULTS],
    }


def keys_of(first: str, cells: Sequence[Cell]) -> Sequence[str]:
    """New keys in the first of these cells, whose new work goes to a cell of that name first."""
    known = {cell.name: RouterCell(cell.name, cell.url) for cell in cells}
    made: list[str] = []
    while len(made) < KEYS:
        key = cells[0].admin("keys", "create", f"{first}-{len(made)}").strip()
        if in_order(key_of(f"Bearer {key}"), known)[0].name == first:
            made.append(key)
    return made


async def or_failed(posting: asyncio.Task, stage: Awaitable[None]) -> None:
    """A stage to its end, or the error of the clients, without whom it would have none."""
    going = asyncio.ensure_future(stage)
    await asyncio.wait({posting, going}, return_when=asyncio.FIRST_COMPLETED)
    if posting.done():
        going.cancel()
        posting.result()
    await going


@asynccontextmanager
async def supervised(programs: list[Programs]) -> AsyncIterator[None]:
    """What ends is started again for as long as the block runs."""

    async def look() -> None:
        while True:
            for each in programs:
                each.revive()
            await asyncio.sleep(LOOK)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()


@asynccontextmanager
async def receiver(load: Load, host: str, port: int) -> AsyncIterator[None]:
    """Takes webhooks for as long as the block runs."""
    app = FastAPI()

    @app.post("/told")
    async def told(request: Request) -> Response:
        edit = (await request.json())["data"]["id"]
        load.told.setdefault(edit, set()).add(request.headers["webhook-id"])
        return Response(status_code=204)

    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cells", description=__doc__.splitlines()[0])
    parser.add_argument("--plain", action="store_true", help="on loopback, without namespaces: needs no root")
    parser.add_argument("--workers", type=int, default=1, help="workers of each cell")
    arguments = parser.parse_args()
    # Killed politely, it takes its processes and its namespaces along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if not arguments.plain and (reason := may_make_namespaces()):
        sys.exit(f"{reason}; with --plain it runs on loopback")
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="cells-")))
        places = OnLoopback() if arguments.plain else opened.enter_context(in_namespaces())
        report = asyncio.run(tried(places, folder, arguments.workers))
    print(json.dumps({"namespaces": not arguments.plain, **report}))


if __name__ == "__main__":
    main()
