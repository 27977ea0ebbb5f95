"""`python -m benchmarks.footprint`: what to reserve, in memory and in storage, for the built-in model on this machine.

{"mib": {process: ...}, "redis_bytes_per_edit", "storage_bytes_per_edit", "edits"}: the resident memory of every process
after the edits, the worker's at its peak; and what one edit leaves in Redis and in the storage for as long as it is
kept. The edit is the demo's: three targets, heat maps, raw maps.
"""

import argparse
import json
import tempfile
from pathlib import Path

import psutil
import redis

from p2p_client import Client
from stack.demo import EDIT, MODEL
from stack.services import Stack, stack

EDITS, QUICK = 30, 2
#: The first edits make what all others share: scripts, metrics, the queue itself.
WARM = 3
_MIB = 2**20


def measured(started: Stack, count: int) -> dict:
    """The report of so many edits."""
    artifacts = started.folder / "artifacts"
    with (
        Client(started.url) as client,
        redis.Redis.from_url(started.redis_url) as records,
    ):
        for seed in range(WARM):
            _made(client, seed)
        before = _bytes_of(records), _bytes_in(artifacts)
        for seed in range(WARM, WARM + count):
            _made(client, seed)
        after = _bytes_of(records), _bytes_in(artifacts)
        resident = {name: _resident(process.pid) for name, process in started.processes.items()}
    return {
        "mib": resident,
        "redis_bytes_per_edit": round((after[0] - before[0]) / count),
        "storage_bytes_per_edit": round((after[1] - before[1]) / count),
        "edits": count,
    }


def _made(client: Client, seed: int) -> None:
    client.wait(client.submit({**EDIT, "sampling": {"seed": seed}}))


def _bytes_of(records: redis.Redis) -> int:
    """What every key takes, by itself: the server's own total moves by more than an edit for reasons of its own."""
    return sum(records.memory_usage(key) or 0 for key in records.scan_iter(count=1000))


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _resident(pid: int) -> int:
    """The most that a process has had in memory; Linux alone tells."""
    status = Path(f"/proc/{pid}/status").read_text() if Path("/proc").exists() else ""
    peak = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)
    return round((peak or psutil.Process(pid).memory_info().rss) / _MIB)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} edits in place of {EDITS}")
    count = QUICK if parser.parse_args().quick else EDITS
    with tempfile.TemporaryDirectory() as folder, stack(Path(folder), {MODEL: 1}) as started:
        print(json.dumps(measured(started, count)))


if __name__ == "__main__":
    main()
