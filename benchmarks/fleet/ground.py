"""What a fleet stands on: a Redis of its own with a reaper and an outbox beside it, and what that Redis has spent."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import cast

import redis

from jobs.redis import keys
from stack.ports import free_port
from stack.processes import python, running
from stack.redis_server import guarded_command, wait_for

#: What Redis calls the benchmark's own connections.
NAME = "benchmarks.fleet"


@dataclass(frozen=True)
class Spent:
    """What a Redis had done at a time.

    Attributes:
        at: seconds, of this process's clock.
        processor: seconds of one core, in Redis itself and in the system on its behalf.
        commands: that it had carried out. Those that a script calls are not counted.
        ends: of jobs.
    """

    at: float
    processor: float
    commands: int
    ends: int


class Ground:
    """A Redis, behind a port of loopback and a password, written to a file each second as compose runs it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url, decode_responses=True, client_name=NAME)

    def spent(self) -> Spent:
        """What it has spent so far."""
        with self.client.pipeline(transaction=False) as commands:
            commands.info("cpu")
            commands.info("stats")
            cpu, stats = commands.execute()
        seconds = cpu["used_cpu_user"] + cpu["used_cpu_sys"]
        return Spent(time.monotonic(), seconds, stats["total_commands_processed"], self.ends())

    def ends(self) -> int:
        """How often a job has ended, by the totals of what each key used: an end that is written twice counts twice."""
        days = [cast(Mapping[str, str], self.client.hgetall(key)) for key in self.client.scan_iter("usage:*", 10_000)]
        return sum(int(total) for day in days for name, total in day.items() if name.endswith(" edits"))

    def succeeded(self, job_ids: Sequence[str]) -> int:
        """How many of some jobs have succeeded, by their records."""
        with self.client.pipeline(transaction=False) as commands:
            for job_id in job_ids:
                commands.hget(keys.record(job_id), "status")
            return commands.execute().count('"succeeded"')

    def rest(self) -> None:
        """Wait until it writes its file anew no longer: it does while a queue is filled in minutes, and not in life."""
        while cast(Mapping[str, int], self.client.info("persistence"))["aof_rewrite_in_progress"]:
            time.sleep(0.2)

    def connections(self) -> int:
        """How many there are, without the benchmark's own."""
        clients = cast(list[Mapping[str, str]], self.client.client_list())
        return sum(each["name"] != NAME for each in clients)

    def most_connections(self) -> int:
        """How many it takes."""
        return int(cast(Mapping[str, str], self.client.config_get("maxclients"))["maxclients"])


@contextmanager
def ground(folder: Path, *, beside: bool = True) -> Iterator[Ground]:
    """A new Redis.

    Args:
        beside: whether a reaper and an outbox work on it, as in an installation.
    """
    folder.mkdir(parents=True)
    port, password = free_port(), token_hex(16)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    command = guarded_command(port, password, folder, keep=True)
    with ExitStack() as stack:
        server = stack.enter_context(running("redis", command, folder / "redis.log"))
        wait_for(url, cast(subprocess.Popen, server))
        environment = {"REDIS_URL": url, "STORAGE_URL": str(folder / "artifacts"), "WEBHOOK_URL": ""}
        for program in ("reaper", "outbox") if beside else ():
            stack.enter_context(running(program, python("-m", program), folder / f"{program}.log", environment))
        made = Ground(url)
        stack.callback(made.client.close)
        yield made
