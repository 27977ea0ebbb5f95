"""What goes wrong without anybody being killed: Redis restarted, storage that fails or is slow, connections, a stop."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.recovery.proxy import Proxy, proxy
from benchmarks.recovery.verdict import counted, settled
from benchmarks.recovery.world import World

#: Seconds that a fault lasts, unless it says otherwise, and that lie between two.
LASTS, CALM = 8.0, 6.0
#: Beyond both timeouts of every Redis client here (2 s to connect, 5 s to be answered).
STALL = 7.0
#: Past a lease of 10 s and the sweep after it.
STOPPED = 14.0

Fault = Callable[[World, Mapping[str, Proxy]], Awaitable[None]]


async def redis_restarted(world: World, proxies: Mapping[str, Proxy]) -> None:
    """Redis is killed and comes back from its append-only file."""
    await world.restart_redis(signal.SIGKILL, after=1.0)


async def redis_restarted_in_order(world: World, proxies: Mapping[str, Proxy]) -> None:
    """Redis is stopped, as by an update, and comes back."""
    await world.restart_redis(signal.SIGTERM, after=3.0)


async def s3_failing(world: World, proxies: Mapping[str, Proxy]) -> None:
    """The storage answers 503."""
    proxies["s3"].fails = True
    proxies["s3"].reset()
    await asyncio.sleep(LASTS)
    proxies["s3"].fails = False


async def s3_slow(world: World, proxies: Mapping[str, Proxy]) -> None:
    """The storage takes half a second for whatever it reads or says."""
    proxies["s3"].delay = 0.5
    await asyncio.sleep(LASTS)
    proxies["s3"].delay = 0.0


async def connections_reset(world: World, proxies: Mapping[str, Proxy]) -> None:
    """All connections to Redis and the storage are torn down, again and again."""
    for _ in range(int(LASTS)):
        for each in proxies.values():
            each.reset()
        await asyncio.sleep(1)


async def connections_stalled(world: World, proxies: Mapping[str, Proxy]) -> None:
    """Nothing comes through to Redis and the storage, and nothing is reported."""
    for each in proxies.values():
        each.flows.clear()
    await asyncio.sleep(STALL)
    for each in proxies.values():
        each.flows.set()


async def worker_stopped(world: World, proxies: Mapping[str, Proxy]) -> None:
    """A worker in the middle of a job is stopped until the job is another's, and goes on."""
    pid = await world.busy_worker()
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(STOPPED)
    os.kill(pid, signal.SIGCONT)


FAULTS: Mapping[str, Fault] = {
    fault.__name__: fault
    for fault in (
        redis_restarted,
        redis_restarted_in_order,
        s3_failing,
        s3_slow,
        connections_reset,
        connections_stalled,
        worker_stopped,
    )
}


@asynccontextmanager
async def between(redis_port: int, s3_port: int) -> AsyncIterator[Mapping[str, Proxy]]:
    """A proxy before a Redis and one before the S3 server."""
    async with proxy(redis_port) as before_redis, proxy(s3_port) as before_s3:
        yield {"redis": before_redis, "s3": before_s3}


async def suffered(world: World, fault: Fault, proxies: Mapping[str, Proxy], times: int, objects: Path) -> dict:
    """What a world shows after it went through a fault so many times."""
    async with world.running():
        async with world.under_load():
            for _ in range(times):
                await asyncio.sleep(CALM)
                await fault(world, proxies)
            await asyncio.sleep(CALM)
        await settled(world)
        return {"times": times, **await counted(world, objects)}
