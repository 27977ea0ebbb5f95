"""`python -m benchmarks.followers`: 5,000 clients that follow 50 edits at one API process.

{"followers", "redis_connections", "status_p99_ms_alone", "status_p99_ms_beside", "lost_events"}. Half of the followers
ask with `?wait=`, half read the event stream; all are connected before the first edit begins. A job is seen by its own
key alone, so the 100 followers of an edit share one key: 50 of the 100 keys follow, with `--streams 100`. The other 50
keys poll the status of a running edit of their own, 100 times a second in all, without followers (alone) and while the
followers receive events (beside). Each edit runs 20 steps of a second, so 50 events a second are written; starts and
ends are spread over 10 s. `redis_connections` is the most that the API process had, by CLIENT LIST. `lost_events`
counts events that a follower did not receive, or received twice or out of order, and waits that were not answered with
the end. The followers, the worker's part and the polls are processes of their own.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import cast

import psutil
import redis

from benchmarks.followers.edits import NAME, Followed, finished_ids, made, polled
from benchmarks.load import http, p99_ms
from jobs.follow.followed import place_of
from service.api_keys import KeyRing
from stack.processes import python
from stack.services import Stack, stack

#: Status polls a second: half of what keeps an API process busy to a tenth.
POLLS = 100.0


@dataclass(frozen=True)
class Size:
    """How large a run is.

    Attributes:
        edits: that are followed; each has a key of its own, and there are as many keys that poll.
        followers: of each edit.
        steps: of each edit, one a second.
        spread: seconds over which the edits begin.
        alone: seconds of polls without followers.
    """

    edits: int
    followers: int
    steps: int
    spread: float
    alone: float


FULL = Size(edits=50, followers=100, steps=20, spread=10.0, alone=20.0)
QUICK = Size(edits=5, followers=100, steps=6, spread=2.0, alone=5.0)


def measured(size: Size, folder: Path) -> dict[str, float]:
    """The report of a run."""
    allow_open_files(size.edits * size.followers)
    settings = {"BACKLOG": "1000000"}
    with (
        stack(folder, {}, settings=settings) as started,
        redis.Redis.from_url(started.redis_url, decode_responses=True) as client,
    ):
        followed, polls = plan(size, client)
        port = int(started.url.rpartition(":")[2])
        requests = cycle([http("GET", path, headers=[("Authorization", f"Bearer {key}")]) for path, key in polls])

        def p99(seconds: float) -> float:
            return asyncio.run(p99_ms(port, lambda: next(requests), 200, POLLS, seconds))

        p99(2.0)  # warms up
        alone = p99(size.alone)
        with (
            most_connections(started, started.redis_url) as connections,
            followers(port, followed, size, folder) as following,
            working(started.redis_url, followed, size, folder),
        ):
            beside = p99(size.spread + size.steps)
            received = json.loads(following.communicate(timeout=120)[0])
        return {
            "followers": len(followed) * size.followers,
            "redis_connections": max(connections),
            "status_p99_ms_alone": round(alone, 2),
            "status_p99_ms_beside": round(beside, 2),
            "lost_events": lost(received, finished_ids(client, followed), size.followers),
        }


def allow_open_files(number: int) -> None:
    """Let each process have so many connections; ends this one where the system does not."""
    needed = number + 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(f"{number} connections need {needed} open files a process, and `ulimit -Hn` is {hard}: raise it")
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))


def plan(size: Size, client: redis.Redis) -> tuple[Sequence[Followed], Sequence[tuple[str, str]]]:
    """The edits that are followed, and the addresses and keys that poll."""
    ring = KeyRing(client)
    followed, polls = [], []
    for number in range(size.edits):
        followed.append(made(client, _key(ring, f"follows-{number}", size.followers)))
        polls.append(polled(client, _key(ring, f"polls-{number}", size.followers)))
    return followed, polls


def _key(ring: KeyRing, name: str, streams: int) -> tuple[str, str]:
    created = ring.create(name, streams=streams)
    assert created
    return created[0].id, created[1]


@contextmanager
def followers(port: int, followed: Sequence[Followed], size: Size, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The process of all followers, once each of them is connected."""
    asked = {"port": port, "followers": size.followers, "edits": [asdict(edit) for edit in followed]}
    file = folder / "followers.json"
    file.write_text(json.dumps(asked), encoding="utf-8")
    command = python("-m", "benchmarks.followers.clients", str(file))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            if process.stdout.readline() != "connected\n":
                raise RuntimeError(f"the followers could not connect: status {process.wait()}")
            yield process
        finally:
            process.kill()


@contextmanager
def working(redis_url: str, followed: Sequence[Followed], size: Size, folder: Path) -> Iterator[None]:
    """The process that runs the edits as workers do."""
    file = folder / "edits.json"
    file.write_text(json.dumps([edit.id for edit in followed]), encoding="utf-8")
    command = python("-m", "benchmarks.followers.edits", str(file), str(size.steps), str(size.spread))
    with subprocess.Popen(command, env={**os.environ, "REDIS_URL": redis_url}) as process:
        try:
            yield
            if process.wait(60):
                raise RuntimeError("the edits were not made")
        finally:
            process.kill()


@contextmanager
def most_connections(started: Stack, redis_url: str) -> Iterator[list[int]]:
    """How many connections the API process has to Redis, looked at twice a second.

    Those of other processes are counted once, at the beginning: all that are new are the API's, except those of this
    benchmark, which have a name.
    """
    api = psutil.Process(started.processes["api"].pid)
    counts, is_over = [0], threading.Event()
    with redis.Redis.from_url(redis_url, decode_responses=True, client_name=NAME) as client:
        others = len(clients(client)) - own_connections(api, client)

        def look() -> None:
            while True:
                counts.append(sum(each["name"] != NAME for each in clients(client)) - others)
                if is_over.wait(0.5):
                    return

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield counts
        finally:
            is_over.set()
            looking.join()


def own_connections(process: psutil.Process, client: redis.Redis) -> int:
    """How many connections of a Redis belong to a process of asyncio, or to this benchmark."""
    named = sum(each["name"] == NAME for each in clients(client))
    if redis_is_on_socket(client):
        # Redis does not say whose these are. The process has a pair more, through which asyncio wakes itself up.
        return named + len(process.net_connections("unix")) - 2
    ports = {str(each.laddr.port) for each in process.net_connections("tcp") if each.laddr}
    return named + sum(each["addr"].rpartition(":")[2] in ports for each in clients(client))


def redis_is_on_socket(client: redis.Redis) -> bool:
    """Whether a client reaches its Redis by a Unix socket."""
    return "path" in client.get_connection_kwargs()


def clients(client: redis.Redis) -> Sequence[Mapping[str, str]]:
    """Every connection of a Redis, as CLIENT LIST tells it."""
    return cast(Sequence[Mapping[str, str]], client.client_list())


def lost(received: Sequence[Mapping], expected: Sequence[Sequence[str]], num_followers: int) -> int:
    """Events that followers missed, or received more than once or out of order; ends that no wait was answered with.

    Args:
        received: of each edit, the ids that each stream received, and how many waits were answered with the end.
        expected: the ids of each edit's events.
    """
    total = 0
    for edit, ids in zip(received, expected, strict=True):
        for stream in edit["streams"]:
            missing, again = set(ids) - set(stream), len(stream) - len(set(stream))
            total += len(missing) + again + (list(stream) != sorted(stream, key=place_of))
        total += num_followers - len(edit["streams"]) - edit["ends"]
    return total


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.followers", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="500 followers of 5 edits; under a minute")
    size = QUICK if parser.parse_args().quick else FULL
    with tempfile.TemporaryDirectory(prefix="followers-") as folder:
        print(json.dumps(measured(size, Path(folder))))


if __name__ == "__main__":
    main()
