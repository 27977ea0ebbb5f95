"""A queue with many waiting edits: what an admission takes beside them, and a sweep of the reaper."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import redis

from benchmarks.fleet.ground import NAME, ground
from benchmarks.fleet.posting import Posting, job_of
from jobs.redis.connection import patient_client
from jobs.redis.queue import RqJobQueue
from jobs.redis.store import RedisJobStore
from jobs.redis.upkeep import Upkeep
from jobs.storage import open_storage
from reaper.__main__ import Reaper

#: Keys whose edits wait, and edits that are admitted in one turn while the queue is filled.
OWNERS, AT_ONCE = 20, 100
#: Edits of each key that are posted before any is timed.
FIRST = 3
#: Sweeps: the first two of a reaper are its first looks.
SWEEPS = 4


@dataclass(frozen=True)
class Backlog:
    """What it is like with a long queue.

    Attributes:
        empty_p99_ms: of an admission to an empty queue.
        admit_p99_ms: of an admission beside all that waits.
        sweep_s: the longest sweep of a reaper.
        accepted, waiting: edits; none is lost if they are equal.
    """

    empty_p99_ms: float
    admit_p99_ms: float
    sweep_s: float
    accepted: int
    waiting: int


async def measured(folder: Path, number: int, admissions: int) -> Backlog:
    """Fills a queue with so many edits, and times admissions to it and to an empty one, in turn.

    What else the machine does meanwhile meets both alike.
    """
    owners = [f"key-{index}" for index in range(OWNERS)]
    # Keys with few waiting edits and with many: an edit of the latter goes behind, one of the former between others.
    weights = [2.0 ** (index % 8) for index in range(OWNERS)]
    draw = random.Random(0)
    with ExitStack() as stack:
        bare, place = (stack.enter_context(ground(folder / name, beside=False)) for name in ("empty", "backlog"))
        async with Posting(bare.url) as empty, Posting(place.url) as posting:
            await _seconds(empty, owners, FIRST)  # loads scripts, opens connections
            bare.client.flushdb()
            while (left := number - len(posting.accepted)) > 0:
                owner = draw.choices(owners, weights)[0]
                await posting.post([job_of(owner) for _ in range(min(AT_ONCE, left))])
            await asyncio.to_thread(place.rest)
            before, beside = list[float](), list[float]()
            for owner in draw.choices(owners, weights, k=admissions):
                before += await _seconds(empty, [owner], 1)
                beside += await _seconds(posting, [owner], 1)
            accepted = len(posting.accepted)
        sweep = await asyncio.to_thread(_longest_sweep, place.url, folder)
        waiting = sum(place.client.zcard(key) for key in place.client.scan_iter("waiting:*", 10_000))
    return Backlog(_p99_ms(before), _p99_ms(beside), sweep, accepted, waiting)


async def _seconds(posting: Posting, owners: Sequence[str], times: int) -> Sequence[float]:
    """How long each admission of one edit of each key took, so many times."""
    return [await posting.post([job_of(owner)]) for _ in range(times) for owner in owners]


def _p99_ms(seconds: Sequence[float]) -> float:
    return quantiles(seconds, n=100)[-1] * 1000


def _longest_sweep(url: str, folder: Path) -> float:
    client, messages = patient_client(url), redis.Redis.from_url(url, client_name=NAME)
    reaper = Reaper(
        Upkeep(client), RedisJobStore(client), RqJobQueue(messages), open_storage(str(folder / "swept")), max_attempts=3
    )
    seconds = []
    for _ in range(SWEEPS):
        began = time.perf_counter()
        reaper.sweep()
        seconds.append(time.perf_counter() - began)
    client.close()
    messages.close()
    return max(seconds)
