"""One cell: a Redis, an S3 server, an API, a reaper, an outbox and workers, each a process that is started again."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import httpx
import redis

from benchmarks.cells.places import Place
from stack.patience import PATIENCE, PROBE
from stack.ports import free_port
from stack.processes import python, stop
from stack.redis_server import guarded_command
from stack.s3_server import server_program

MODEL, BUCKET = "scenes", "artifacts"
#: Seconds between two looks at something that is to come.
LOOK = 0.1


@dataclass
class Programs:
    """Processes by name, kept alive."""

    folder: Path
    _started: dict[str, tuple[list[str], Mapping[str, str]]] = field(default_factory=dict)
    running: dict[str, subprocess.Popen] = field(default_factory=dict)
    #: Those that are to stay away for a while.
    away: set[str] = field(default_factory=set)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start one; `revive` starts it again by the same command."""
        self._started[name] = (list(command), environment)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **environment}
            )

    def revive(self) -> None:
        """Start again what has ended and is not to stay away, as any supervisor does."""
        for name, process in list(self.running.items()):
            if name not in self.away and process.poll() is not None:
                self.start(name, *self._started[name])

    def kill(self, name: str) -> None:
        """End one by SIGKILL; it stays away until `come_back`."""
        self.away.add(name)
        self.running[name].kill()
        self.running[name].wait()

    def come_back(self, name: str) -> None:
        """It is started again."""
        self.away.discard(name)
        self.revive()

    def signal(self, names: Sequence[str], signum: int) -> None:
        """Send a signal to several."""
        for name in names:
            self.running[name].send_signal(signum)

    def end(self) -> None:
        """All end, in reverse order."""
        self.away.update(self.running)
        for process in reversed(self.running.values()):
            process.send_signal(signal.SIGCONT)
            stop(process)


class Cell:
    """A cell under its name.

    Args:
        place, workers_place: where its processes run, and its workers.
        public: the address that clients know, of the router.
    """

    def __init__(self, name: str, folder: Path, place: Place, workers_place: Place, public: str) -> None:
        self.name, self.place, self.workers_place = name, place, workers_place
        folder.mkdir(parents=True)
        (folder / "s3" / BUCKET).mkdir(parents=True)
        self.programs = Programs(folder)
        self.redis_port, s3_port, api_port = free_port(), free_port(), free_port()
        self._password, key, secret = token_hex(20), token_hex(10), token_hex(20)
        self.url = f"http://{place.host}:{api_port}"
        self.redis_url = f"redis://:{self._password}@{place.host}:{self.redis_port}/0"
        s3 = f"{place.host}:{s3_port}"
        self.environment = {
            "CELL": name,
            "REDIS_URL": self.redis_url,
            "STORAGE_URL": f"s3+http://{key}:{secret}@{s3}/{BUCKET}",
            "HOST": place.host,
            "PORT": str(api_port),
            "PUBLIC_URL": public,
            "WEBHOOK_PRIVATE": "1",
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "LOG_FORMAT": "json",
        }
        self._s3 = (
            [server_program(), "serve", "s3", "--addr", s3, str(folder / "s3")],
            {"RCLONE_AUTH_KEY": f'"{key},{secret}"', "RCLONE_CONFIG": str(folder / "rclone.conf")},
        )
        self._folder = folder

    def start_stores(self) -> None:
        """Its Redis, which writes each command down before it answers, and its bucket."""
        command = guarded_command(self.redis_port, self._password, self._folder, keep=True, host=self.place.host)
        self.programs.start("redis", self.place.command([*command, "--appendfsync", "always"]), {})
        self.programs.start("s3", self.place.command(self._s3[0]), self._s3[1])
        wait_until(self._redis_answers, f"the Redis of {self.name}")

    def start_service(self, workers: int) -> None:
        """Everything else; an API beyond loopback wants a key before."""
        for name in ("service", "reaper", "outbox"):
            self.programs.start(name, self.place.command(python("-m", name)), self.environment)
        for number in range(1, workers + 1):
            command = self.workers_place.command(python("-m", "worker", "--model", MODEL))
            self.programs.start(f"worker-{number}", command, self.environment)

    @property
    def workers(self) -> Sequence[str]:
        return [name for name in self.programs.running if name.startswith("worker")]

    def is_ready(self) -> bool:
        """Whether its API takes edits, and each of its workers is there."""
        try:
            answer = httpx.get(f"{self.url}/readyz", timeout=PROBE)
        except httpx.TransportError:
            return False
        return answer.is_success and answer.json()["models"][MODEL]["workers"] >= len(self.workers)

    def admin(self, *arguments: str, given: str = "") -> str:
        """What `python -m admin` prints in this cell."""
        command = self.place.command(python("-m", "admin", *arguments))
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=True).stdout

    def _redis_answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.redis_url, socket_timeout=PROBE) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def wait_until(found: Callable[[], object], what: str) -> None:
    """Wait for something; raises `TimeoutError`."""
    deadline = time.monotonic() + PATIENCE
    while not found():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} is not there after {PATIENCE} s")
        time.sleep(LOOK)
