"""An installation of real processes that start and end one by one, each of this version or of another one's files."""

import signal
import subprocess
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import redis

from jobs.redis.queue import RqJobQueue
from stack.patience import PROBE
from stack.ports import free_port
from stack.processes import python, running, tail
from tests import forked
from tests.older import ROOT
from tests.patience import PATIENCE, eventually

COMMANDS = {
    "api": ("-m", "service"),
    "reaper": ("-m", "reaper"),
    "outbox": ("-m", "outbox"),
    "worker": ("-m", "worker", "--model", "tiny"),
}


@dataclass(frozen=True, kw_only=True)
class Member:
    """A process of an installation.

    Attributes:
        port: where an API answers, and where any other process shows its metrics.
        client: what it is asked with; to make one for each question takes longer than to ask.
    """

    kind: str
    process: subprocess.Popen = field(repr=False)
    port: int
    log: Path
    client: httpx.Client = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def metric(self, name: str) -> float:
        """A metric's present value, all its labels together."""
        lines = self.client.get(f"{self.url}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


class Installation:
    """The processes around one Redis and one storage; all end with the block.

    Args:
        environment: the settings of all of them, `REDIS_URL` among them.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._started = ExitStack()
        self._client = self._started.enter_context(httpx.Client(timeout=PROBE))
        self.members: list[Member] = []

    def __enter__(self) -> "Installation":
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def of(self, kind: str) -> list[Member]:
        """Those of a kind that run."""
        return [member for member in self.members if member.kind == kind]

    def start(self, kind: str, tree: Path = ROOT) -> Member:
        """One more of a kind, from these files; returns once it works."""
        port = free_port()
        own = {"HOST": "127.0.0.1", "PORT": str(port)} if kind == "api" else {"METRICS_PORT": str(port)}
        log = self._folder / f"{len(list(self._folder.glob('*.log')))}-{kind}.log"
        # Forked off this version's server it would be of this version.
        with nullcontext() if tree == ROOT else forked.paused():
            running_there = running(kind, python(*COMMANDS[kind]), log, self._environment | own, tree)
            process = self._started.enter_context(running_there)
        member = Member(kind=kind, process=process, port=port, log=log, client=self._client)
        works = eventually(lambda: process.poll() is not None or self._works(member))
        assert works, tail(log)
        assert process.poll() is None, tail(log)
        self.members.append(member)
        return member

    def end(self, member: Member, signum: int = signal.SIGTERM) -> None:
        """End one by a signal, and wait for it."""
        self.members.remove(member)
        member.process.send_signal(signum)
        member.process.wait(PATIENCE)

    def _works(self, member: Member) -> bool:
        if member.kind == "worker":
            with redis.Redis.from_url(self._environment["REDIS_URL"]) as client:
                return str(member.process.pid) in {worker.pid for worker in RqJobQueue(client).workers()}
        try:
            if member.kind == "reaper":
                return member.metric("p2p_reaper_sweeps_total") > 0
            return member.client.get(f"{member.url}/{'readyz' if member.kind == 'api' else 'metrics'}").is_success
        except httpx.TransportError:
            return False
