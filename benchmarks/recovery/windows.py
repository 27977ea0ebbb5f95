"""Where processes are killed: seven windows of a job's way, random times, the built-in model at work, and Redis."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.recovery.failing_over_world import FailingOverWorld
from benchmarks.recovery.programs import model_worker
from benchmarks.recovery.verdict import counted, recovery, settled, spread, was_felt
from benchmarks.recovery.world import PROGRAMS, Program, World
from stack.patience import PATIENCE

#: Seconds between two random kills; the first also how long the load goes on after the last kill of any window.
CALM = (2.0, 6.0)


async def each_in_turn(world: World, kills: int, point: str) -> None:
    """Kill at one point, wait until that is mended, kill again."""
    for number in range(kills):
        await killed_at(world, point, after=number)


async def killed_at(world: World, point: str, *, after: int) -> None:
    """Kill the process that comes by a point next, and wait until that is mended."""
    world.wires.arm(point)
    await mended(world, point, after=after)


async def mended(world: World, point: str, *, after: int) -> None:
    """Wait until a process that comes by an armed point was killed, and another one has gone on."""
    kill = await world.next_kill(point, after=after, patience=PATIENCE)
    await world.eventually(lambda: [kill] if recovery(world, kill) is not None else [], PATIENCE)


async def in_maintenance(world: World, kills: int) -> None:
    """By turns: between two parts of a sweep, and when a lost job was queued again and what it left is still there."""
    for number in range(kills):
        if number % 2:
            await killed_at(world, "inside_maintenance", after=number // 2)
        else:
            world.wires.arm("returning_a_job")
            world.wires.arm("while_running")
            await mended(world, "returning_a_job", after=number // 2)


async def at_random(world: World, kills: int) -> None:
    """Any process at any time, mended or not."""
    for _ in range(kills):
        await asyncio.sleep(random.uniform(*CALM))
        world.kill(random.choice(list(world.programs)), "at_random")


async def failovers(world: World, kills: int) -> None:
    """Kill the primary of a Redis, start it again as a replica, and wait until an edit is accepted again."""
    assert isinstance(world, FailingOverWorld)
    for number in range(kills):
        await asyncio.sleep(random.uniform(*CALM))
        killed = await world.kill_primary()
        await world.failed_over(killed)
        await mended(world, "failover", after=number)
        await world.whole()


@dataclass(frozen=True)
class Window:
    """How kills are made in a world, and at which points they count."""

    drive: Callable[[World, int], Awaitable[None]]
    points: tuple[str, ...]
    programs: Mapping[str, Program] = field(default_factory=lambda: PROGRAMS)
    world: type[World] = World


def _at(point: str, programs: Mapping[str, Program] = PROGRAMS) -> Window:
    return Window(partial(each_in_turn, point=point), (point,), programs)


WITH_MODEL = {**PROGRAMS, "worker-1": model_worker, "worker-2": model_worker}
WINDOWS: Mapping[str, Window] = {
    **{
        point: _at(point)
        for point in ("after_pop", "before_start", "while_running", "mid_upload", "before_commit", "before_webhook")
    },
    "inside_maintenance": Window(in_maintenance, ("inside_maintenance", "returning_a_job")),
    "at_random": Window(at_random, ("at_random",)),
    "built_in_model": _at("while_running", programs=WITH_MODEL),
    "failover": Window(failovers, ("failover",), world=FailingOverWorld),
}


async def tried(world: World, window: Window, kills: int, objects: Path) -> tuple[dict, list[float]]:
    """What a world shows after so many kills, and the seconds that each of them was felt."""
    async with world.running():
        async with world.under_load():
            # A kill that is not mended is counted, and ends this window's kills.
            with suppress(TimeoutError):
                await window.drive(world, kills)
            await asyncio.sleep(CALM[0])
        await settled(world)
        counts = await counted(world, objects)
    made = [kill for point in window.points for kill in world.kills(point)]
    felt = [kill for kill in made if was_felt(world, kill)]
    recoveries = [recovery(world, kill) for kill in felt]
    # One that was not mended within the patience counts with it.
    seconds = [float(PATIENCE) if each is None else each for each in recoveries]
    mended = len(felt) - recoveries.count(None)
    return {"kills": len(made), "felt": len(felt), "mended": mended, **counts, **spread(seconds)}, seconds
