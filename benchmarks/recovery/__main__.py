"""`python -m benchmarks.recovery`: accepted edits while processes are killed and connections fail.

A Redis a window, one S3 server (rclone), real processes: two workers whose sampler is a stand-in of ten steps, a second
to start, the reaper and the sender, all with their default settings, under a load of two edits a second, and a
supervisor that starts again what ends. Processes are ended by SIGKILL in each window of a job's way, and at random
times; the built-in model's while it denoises. Recovery is the time from a kill until another process takes the
interrupted next step: the job's next step, the delivery, or the next sweep. Beside it faults that kill nobody.

In the window `failover` it is the primary of a Redis with a replica and three Sentinels that is killed. It is started
again as a replica, and recovery is the time until an edit is accepted again.

`--together 4`: workers share their steps between four jobs; the built-in model's between as many.
`--quick`: one kill a window, each fault once. `--window NAME`: that window alone. `--stock`: the same windows on RQ as
it comes; 25 minutes. What that printed once is checked in (`baseline.json`) and is the report's "baseline".
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.recovery import faults, programs, stock, windows
from benchmarks.recovery.receiver import receiver
from benchmarks.recovery.verdict import spread
from benchmarks.recovery.world import World, settings_of
from stack.ports import free_port
from stack.s3_server import s3_server

#: Kills a window; where it says nothing, the first.
KILLS, SPECIAL = 20, {"at_random": 50, "built_in_model": 5, "failover": 12}
#: How often each fault happens.
TIMES = 3
BASELINE = Path(__file__).with_name("baseline.json")
SUMMED = ("accepted", "finished", "lost", "published_twice", "outbox_twice")


async def ours(folder: Path, storage_url: str, *, quick: bool, together: int = 0, only: str | None = None) -> dict:
    """Every window and every fault: all at once where it is to be quick, else first the ones and then the others.

    Args:
        together: how many jobs share the steps of a worker with a stand-in; 0 for one job at a time.
        only: the one window to be tried; None for all of them and the faults.

    What lies between the processes and a Redis is the benchmark's own, and has the loop's attention alone then.
    """
    worlds: dict[str, World] = {}
    shared = {programs.TOGETHER: str(together)}
    (s3_address, rest), objects = storage_url.rsplit(":", 1), folder / "s3"
    s3_port, bucket = rest.split("/")
    objects /= bucket
    async with receiver(worlds) as webhooks:

        async def window(name: str) -> tuple[dict, list[float]]:
            port, kind = free_port(), windows.WINDOWS[name]
            settings = settings_of(port, f"{storage_url}/{name}", f"{webhooks}/{name}") | shared
            worlds[name] = kind.world(name, folder / name, port, settings, kind.programs)
            return await windows.tried(worlds[name], kind, 1 if quick else SPECIAL.get(name, KILLS), objects)

        async def fault(name: str) -> dict:
            port = free_port()
            async with faults.between(port, int(s3_port)) as proxies:
                storage = f"{s3_address}:{proxies['s3'].port}/{bucket}/{name}"
                settings = settings_of(proxies["redis"].port, storage, f"{webhooks}/{name}") | shared
                worlds[name] = World(name, folder / name, port, settings, keep=True)
                return await faults.suffered(worlds[name], faults.FAULTS[name], proxies, 1 if quick else TIMES, objects)

        async with asyncio.TaskGroup() as group:
            killed = {name: group.create_task(window(name)) for name in ([only] if only else windows.WINDOWS)}
            if not quick:
                await asyncio.wait(killed.values())
            failed = {name: group.create_task(fault(name)) for name in (() if only else faults.FAULTS)}
    by_window = {name: task.result()[0] for name, task in killed.items()}
    by_fault = {name: task.result() for name, task in failed.items()}
    seconds = [each for task in killed.values() for each in task.result()[1]]
    return {
        "kills": sum(each["kills"] for each in by_window.values()),
        **{key: sum(each[key] for each in (*by_window.values(), *by_fault.values())) for key in SUMMED},
        **spread(seconds),
        "by_window": by_window,
        "faults": by_fault,
    }


def measured(*, quick: bool, together: int = 0, only: str | None = None) -> Mapping:
    """The report, but for the baseline."""
    with tempfile.TemporaryDirectory(prefix="recovery-") as place, s3_server(Path(place)) as storage_url:
        return asyncio.run(ours(Path(place), storage_url, quick=quick, together=together, only=only))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one kill a window, each fault once; under a minute")
    parser.add_argument("--window", choices=windows.WINDOWS, help="this window alone")
    parser.add_argument("--together", type=int, default=0, help="so many jobs share the steps of a worker")
    parser.add_argument("--stock", action="store_true", help="RQ as it comes, in place of this service; 25 minutes")
    arguments = parser.parse_args()
    # What the API says of a Redis that is away is expected here; what nobody expected ends the benchmark.
    logging.getLogger("service").setLevel(logging.CRITICAL)
    # Killed politely, it takes its processes along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # For the server that processes are forked from: threads that spin while they wait would take the cores from others.
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    if arguments.stock:
        report = stock.measured()
    else:
        baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
        found = measured(quick=arguments.quick, together=arguments.together, only=arguments.window)
        report = {"ours": found, "baseline": baseline}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
