"""One size of a fleet, over one Redis: what it costs while it works, what it costs while it waits, what it lost."""

import asyncio
import math
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import quantiles

from benchmarks.fleet.ground import Ground, Spent
from benchmarks.fleet.posting import Posting
from benchmarks.fleet.stand_in import MODEL, STEP, STEPS, serve

#: Workers of one process: more would wait for each other's Python.
TOGETHER = 10
#: Keys that post in turn.
OWNERS = tuple(f"key-{number}" for number in range(8))
#: Seconds until a fleet is in its stride: a job and a bit.
RAMP = 3.0
#: Seconds that a fleet has to come up, and to end what was accepted.
PATIENCE = 120.0

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["benchmarks.fleet.stand_in"])


@dataclass(frozen=True)
class Row:
    """What one size of a fleet did.

    Attributes:
        workers: that worked.
        jobs_per_s: that ended.
        redis_core_share: processor seconds of Redis a second.
        begin_p99_ms: of a worker's begin of a job, until it has its answer.
        connections: of all workers.
        accepted, ended: jobs, by the time that all had time to end. One that ended twice counts as one that did not.
    """

    workers: int
    jobs_per_s: float
    redis_core_share: float
    begin_p99_ms: float
    connections: int
    accepted: int
    ended: int


class Fleet:
    """Processes that hold workers.

    Attributes:
        others: connections to Redis that are not its own.
        begins: seconds that each begin took, once the fleet has ended.
    """

    def __init__(self, url: str, workers: int, others: int) -> None:
        self.workers, self.others, self.begins = workers, others, list[float]()
        self._orders: list[Connection] = []
        self._running = []
        for number in shares(workers, TOGETHER):
            ours, theirs = _processes.Pipe()
            process = _processes.Process(target=serve, args=(url, number, theirs), daemon=True)
            process.start()
            theirs.close()
            self._orders.append(ours)
            self._running.append(process)

    def end(self) -> None:
        """Have all workers end after the jobs at hand."""
        for orders in self._orders:
            orders.send("end")
        for orders in self._orders:
            if orders.poll(PATIENCE):
                self.begins += orders.recv()
        for process in self._running:
            process.join(PATIENCE)

    def kill(self) -> None:
        """Leave no process behind."""
        for process in self._running:
            if process.is_alive():
                process.kill()


@contextmanager
def fleet(ground: Ground, workers: int) -> Iterator[Fleet]:
    """So many workers, once all of them are registered."""
    made = Fleet(ground.url, workers, ground.connections())
    try:
        deadline = time.monotonic() + PATIENCE
        while ground.client.scard(f"rq:workers:edits:{MODEL}") < workers:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{workers} workers did not come up in {PATIENCE:g} s")
            time.sleep(0.1)
        yield made
    finally:
        made.kill()


def shares(number: int, most: int) -> Sequence[int]:
    """A number in parts that are as equal as can be, none above `most`."""
    parts = math.ceil(number / most)
    return [number // parts + (index < number % parts) for index in range(parts)]


def waited(ground: Ground, seconds: float) -> Spent:
    """What an idle fleet spends in so many seconds."""
    before = ground.spent()
    time.sleep(seconds)
    return difference(ground.spent(), before)


def difference(after: Spent, before: Spent) -> Spent:
    """What was spent between two times."""
    return Spent(
        after.at - before.at,
        after.processor - before.processor,
        after.commands - before.commands,
        after.ends - before.ends,
    )


async def worked(ground: Ground, made: Fleet, seconds: float) -> Row:
    """Keeps a fleet busy for so many seconds after it is in its stride, lets it end what was accepted, and counts."""
    async with Posting(ground.url) as posting:
        rate = made.workers / (STEPS * STEP)
        fed = asyncio.create_task(posting.paced(OWNERS, rate, RAMP + seconds))
        await asyncio.sleep(RAMP)
        before = await asyncio.to_thread(ground.spent)
        await asyncio.sleep(seconds)
        spent = difference(await asyncio.to_thread(ground.spent), before)
        connections = await asyncio.to_thread(ground.connections)
        await fed
        accepted = posting.accepted
    await asyncio.to_thread(_until_ended, ground, len(accepted))
    await asyncio.to_thread(made.end)
    return Row(
        workers=made.workers,
        jobs_per_s=spent.ends / spent.at,
        redis_core_share=spent.processor / spent.at,
        begin_p99_ms=quantiles(made.begins, n=100)[-1] * 1000,
        connections=connections - made.others,
        accepted=len(accepted),
        ended=min(ground.succeeded(accepted), 2 * len(accepted) - ground.ends()),
    )


def _until_ended(ground: Ground, accepted: int) -> None:
    """Until as many jobs have ended as were accepted, or `PATIENCE` is over without any."""
    seen, at = -1, time.monotonic()
    while (now := ground.ends()) < accepted and time.monotonic() - at < PATIENCE:
        if now > seen:
            seen, at = now, time.monotonic()
        time.sleep(0.2)
