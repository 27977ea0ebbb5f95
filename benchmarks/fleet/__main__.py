"""`python -m benchmarks.fleet`: how many workers one Redis carries, and what breaks first.

{"workers": [{"workers", "jobs_per_s", "redis_core_share", "begin_p99_ms", "connections"}],
"idle_commands_per_s_per_worker", "limit_workers_at_2s_jobs", "backlog_100000": {"admit_p99_ms", "sweep_s",
"empty_p99_ms"}}. Workers are the service's own, whose sampler sleeps 20 steps of 0.1 s and whose storage keeps nothing;
edits are admitted by the API's code; a reaper and an outbox work beside them. `redis_core_share` is the processor time
of Redis, its system calls included, over the time of the clock. `limit_workers_at_2s_jobs` is computed from the costs
of all fleets (`benchmarks.fleet.limit`); standard error says which bound it is. Each size has a Redis of its own. After
each, all that was accepted must have ended once, else the status is 1. Five minutes; `--quick`: two small fleets and
5,000 waiting edits, under a minute.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet import backlog
from benchmarks.fleet.fleet import Row, fleet, waited, worked
from benchmarks.fleet.ground import ground
from benchmarks.fleet.limit import Cost, limit


@dataclass(frozen=True)
class Size:
    """How large a run is.

    Attributes:
        fleets: workers of each.
        seconds: for which each is busy, and for which the largest one is idle.
        waiting: edits in the long queue.
        admissions: that are timed, to the empty queue and to the long one.
    """

    fleets: Sequence[int]
    seconds: float
    waiting: int
    admissions: int


FULL = Size(fleets=(10, 50, 100, 200), seconds=20.0, waiting=100_000, admissions=1000)
QUICK = Size(fleets=(4, 20), seconds=3.0, waiting=5000, admissions=200)


@dataclass(frozen=True)
class Report:
    """What is printed, and what a test looks at beside it.

    Attributes:
        figures: the JSON object.
        lost: what was accepted and has not ended, or ended twice.
        remarks: lines for people.
    """

    figures: Mapping
    lost: int
    remarks: Sequence[str]


def measured(size: Size, folder: Path) -> Report:
    """The report of a run."""
    rows: list[Row] = []
    for number in size.fleets:
        with ground(folder / str(number)) as place, fleet(place, number) as made:
            if number == size.fleets[-1]:
                idle, most = waited(place, size.seconds), place.most_connections()
            rows.append(asyncio.run(worked(place, made, size.seconds)))
    largest = rows[-1]
    bound = limit(
        [Cost(row.workers, row.jobs_per_s, row.redis_core_share) for row in rows],
        idle_core_share=idle.processor / idle.at / largest.workers,
        connections=largest.connections / largest.workers,
        most=most,
    )
    long = asyncio.run(backlog.measured(folder, size.waiting, size.admissions))
    figures = {
        "workers": [
            {
                "workers": row.workers,
                "jobs_per_s": round(row.jobs_per_s, 2),
                "redis_core_share": round(row.redis_core_share, 4),
                "begin_p99_ms": round(row.begin_p99_ms, 2),
                "connections": row.connections,
            }
            for row in rows
        ],
        "idle_commands_per_s_per_worker": round(idle.commands / idle.at / largest.workers, 2),
        "limit_workers_at_2s_jobs": bound.workers,
        "backlog_100000": {
            "admit_p99_ms": round(long.admit_p99_ms, 2),
            "sweep_s": round(long.sweep_s, 3),
            "empty_p99_ms": round(long.empty_p99_ms, 2),
        },
    }
    lost = sum(row.accepted - row.ended for row in rows) + long.accepted - long.waiting
    remarks = [
        f"the limit is by {bound.by}: one core, {most} connections",
        f"an idle worker takes {idle.processor / idle.at / largest.workers * 1e6:.0f} us of Redis a second",
        f"{size.waiting} edits wait: an admission's p99 is {long.admit_p99_ms / long.empty_p99_ms:.2f} times that of "
        f"an empty queue, {long.empty_p99_ms:.2f} ms",
        *(f"{row.workers} workers: {row.accepted} accepted, {row.ended} ended" for row in rows),
    ]
    return Report(figures, lost, remarks)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small fleets and 5,000 waiting edits; under a minute")
    size = QUICK if parser.parse_args().quick else FULL
    # Killed politely, it takes its processes along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # For the processes that are forked and started: threads that spin while they wait would take the cores from others.
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "METRICS_PORT": "0"}
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        report = measured(size, Path(folder))
    print("\n".join(report.remarks), file=sys.stderr)
    print(json.dumps(report.figures))
    if report.lost:
        sys.exit(f"{report.lost} edits were accepted and did not end once")


if __name__ == "__main__":
    main()
