"""The whole compose file, deployed: what a person does to it by hand."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from p2p_client import Client
from stack.patience import PROBE
from tests.compose.engine import PROJECT, Engine, run
from tests.patience import PATIENCE, eventually

URL = "http://127.0.0.1:8000"
#: What the compose file shows on loopback.
PORTS = (8000, 9000)
TOKEN = re.compile(r"p2p_[\w-]+")


def taken_ports() -> Sequence[int]:
    """Those of `PORTS` that somebody listens on."""
    found = []
    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                found.append(port)
    return found


@dataclass(frozen=True)
class Deployment:
    """The compose file on an engine."""

    engine: Engine

    def compose(self, *arguments: str, check: bool = True) -> str:
        """A command of compose; gives its output."""
        return run(*self.engine.compose, *arguments, environment=self.engine.environment, check=check)

    def up(self, *, workers: int) -> None:
        """Start all of it, and wait until so many workers are ready."""
        self.compose("up", "--detach", "--no-build", "--scale", f"worker={workers}")
        assert eventually(lambda: self.ready_workers() >= workers), self.logs()

    def ready_workers(self) -> int:
        """How many workers the API sees; 0 while it is not ready."""
        with suppress(httpx.TransportError):
            answer = httpx.get(f"{URL}/readyz", timeout=PROBE)
            if answer.is_success:
                return answer.json()["models"].get("scenes", {"workers": 0})["workers"]
        return 0

    def down(self, *, volumes: bool = False) -> float:
        """Stop and remove all of it; gives the seconds that took."""
        began = time.monotonic()
        self.compose("down", "--remove-orphans", *(["--volumes"] if volumes else []))
        return time.monotonic() - began

    def logs(self, *services: str) -> str:
        """What containers have said."""
        return self.compose("logs", "--no-color", *services)

    def admin(self, *arguments: str) -> str:
        """An operator's command, in the API's container."""
        return self.compose("exec", "-T", "api", "python", "-m", "admin", *arguments)

    def containers(self, service: str = "") -> Sequence[str]:
        """The ids of a service's containers, or of all."""
        labels = [f"label=com.docker.compose.project={PROJECT}"]
        labels += [f"label=com.docker.compose.service={service}"] if service else []
        options = [word for label in labels for word in ("--filter", label)]
        return self.engine("ps", "--all", "--quiet", "--no-trunc", *options).split()

    def inspected(self, container: str) -> Any:
        """What the engine knows of a container."""
        return json.loads(self.engine("inspect", container))[0]

    def kill(self, container: str) -> None:
        """`kill -9` of a container's process. The engine's own `kill` would count as wanted: nothing would restart."""
        process = str(self.inspected(container)["State"]["Pid"])
        run(*([] if os.geteuid() == 0 else ["sudo", "-n"]), "kill", "-9", process)

    def busy_worker(self) -> str:
        """Wait until a worker has a job; gives its container."""
        found: list[str] = []
        assert eventually(lambda: found.extend(self._busy_workers()) or found)
        return found[0]

    def _busy_workers(self) -> Iterator[str]:
        for line in self.admin("workers").splitlines()[1:]:
            _name, _models, state, job, host, *_ = re.split(r"\s{2,}", line)
            if state == "busy" and job != "-":
                yield from (each for each in self.containers("worker") if each.startswith(host))

    def exit_codes(self, containers: Sequence[str]) -> "ExitCodes":
        """With what containers end, which nobody can ask once they are removed."""
        command = [self.engine.program, "wait"]
        environment = {**os.environ, **self.engine.environment}
        return ExitCodes([
            subprocess.Popen([*command, each], env=environment, stdout=subprocess.PIPE, text=True)
            for each in containers
        ])  # fmt: skip

    def client(self, token: str) -> Client:
        """The service, for one who has a key; goes on asking while Redis restarts."""
        return Client(URL, token, patience=PATIENCE)


@dataclass(frozen=True)
class ExitCodes:
    """Of containers that are still to end."""

    waiting: Sequence[subprocess.Popen[str]]

    def all(self) -> list[int]:
        """In the order of the containers; 137 of one that was killed, because its time to end was over."""
        return [int(each.communicate(timeout=PATIENCE)[0]) for each in self.waiting]
