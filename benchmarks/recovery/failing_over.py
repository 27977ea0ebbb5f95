"""A Redis that fails over: a primary, its replicas, and three Sentinels, all real processes on ports of loopback."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import redis

from stack.patience import PATIENCE
from stack.ports import free_port
from stack.redis_server import server_program

NAME = "jobs"
#: Milliseconds without an answer after which a Sentinel takes a server for down. It asks once a second: with less than
#: two, a busy machine has it promote one replica after another beside a primary that lives.
DOWN_AFTER = 3000
#: What the servers' only user may be called, and the Sentinels' own password.
USER, PASSWORD, SENTINELS_PASSWORD = "plane", "hush-hush", "hush-sentinel"


def until(is_so: Callable[[], Any]) -> Any:
    """What `is_so` gives, once that is something; a server that does not answer is asked again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if found := is_so():
                return found
        except redis.RedisError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the servers did not come to what was waited for")
        time.sleep(0.05)


@dataclass
class FailingOver:
    """Two servers, or more, and three Sentinels; any server may be the primary.

    Attributes:
        ports: of the servers.
        sentinels: ports of the Sentinels.
    """

    folder: Path
    ports: tuple[int, ...] = field(default_factory=lambda: (free_port(), free_port()))
    sentinels: tuple[int, ...] = field(default_factory=lambda: (free_port(), free_port(), free_port()))
    processes: dict[int, subprocess.Popen] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Its REDIS_URL."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        return f"redis+sentinel://{USER}:{PASSWORD}@{hosts}/{NAME}/0?sentinel_password={SENTINELS_PASSWORD}"

    def start(self) -> None:
        """Start all, and wait until a failover is possible."""
        first, *others = self.ports
        self.start_server(first)
        for port in others:
            self.start_server(port, replica_of=first)
        # A Sentinel looks at a server again after ten seconds: what it sees first is to be right.
        until(lambda: self._replicas(first) == len(others))
        for port in self.sentinels:
            self.start_sentinel(port, first)
        self.wait_until_whole()

    def start_server(self, port: int, *, replica_of: int | None = None) -> None:
        """Start a server with what it has on its disk; as a primary, as its configuration says, or as a replica."""
        folder = self.folder / str(port)
        folder.mkdir(exist_ok=True)
        config = folder / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(
            f'port {port}\nbind 127.0.0.1\ndir {folder}\nsave ""\nappendonly yes\nrepl-diskless-sync-delay 0\n'
            f"user default off\nuser {USER} on >{PASSWORD} ~* &* +@all\nprimaryuser {USER}\nprimaryauth {PASSWORD}\n"
            + (f"replicaof 127.0.0.1 {replica_of}\n" if replica_of else "")
        )
        self._start(port, config)

    def start_sentinel(self, port: int, primary: int) -> None:
        """Start a Sentinel."""
        folder = self.folder / f"sentinel-{port}"
        folder.mkdir(exist_ok=True)
        config = folder / "sentinel.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\nrequirepass {SENTINELS_PASSWORD}\n"
            f"sentinel sentinel-pass {SENTINELS_PASSWORD}\nsentinel monitor {NAME} 127.0.0.1 {primary} 2\n"
            f"sentinel auth-user {NAME} {USER}\nsentinel auth-pass {NAME} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER}\nsentinel failover-timeout {NAME} 6000\n"
        )
        self._start(port, config, "--sentinel")

    def _start(self, port: int, config: Path, *more: str) -> None:
        with (config.parent / "log").open("ab") as log:
            command = [server_program(), str(config), *more]
            self.processes[port] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def server(self, port: int) -> redis.Redis:
        """A client of one server."""
        return redis.Redis(port=port, username=USER, password=PASSWORD, decode_responses=True, socket_timeout=2)

    def asked(self, sentinel: int, *command: str) -> Any:
        """What a Sentinel answers."""
        with redis.Redis(port=sentinel, password=SENTINELS_PASSWORD, decode_responses=True) as client:
            return client.execute_command(*command)

    def _replicas(self, port: int) -> int:
        """How many replicas follow a server; 0 for a server that is none's primary."""
        with self.server(port) as client:
            role, *more = cast(Any, client.role())
        return len(more[1]) if role == "master" else 0

    def primary(self) -> int:
        """The port of the server that all Sentinels that run call the primary, once they do."""

        def agreed() -> int | None:
            running = [port for port in self.sentinels if self.processes[port].poll() is None]
            named = {self.asked(port, "SENTINEL MASTER", NAME)["port"] for port in running}
            return named.pop() if len(named) == 1 else None

        return cast(int, until(agreed))

    def wait_until_whole(self) -> None:
        """Until the replicas have all that the primary has, and each Sentinel knows them and the other Sentinels."""

        def whole() -> bool:
            primary = self.primary()
            if self._replicas(primary) != len(self.ports) - 1:
                return False
            for port in self.sentinels:
                state = self.asked(port, "SENTINEL MASTER", NAME)
                if (state["num-other-sentinels"], state["is_sdown"]) != (len(self.sentinels) - 1, False):
                    return False
                replicas = self.asked(port, "SENTINEL SLAVES", NAME)
                good = [each for each in replicas if not each["is_sdown"] and each["master-link-status"] == "ok"]
                if {each["port"] for each in good} != set(self.ports) - {primary}:
                    return False
            return True

        until(whole)

    @contextmanager
    def replica_paused(self) -> Iterator[int]:
        """The replica receives nothing while the block runs; gives its port."""
        primary = self.primary()
        (port,) = (port for port in self.ports if port != primary)
        os.kill(self.processes[port].pid, signal.SIGSTOP)
        try:
            yield port
        finally:
            os.kill(self.processes[port].pid, signal.SIGCONT)

    def kill_primary(self) -> int:
        """Kill the primary's process; gives its port."""
        port = self.primary()
        self.kill(port)
        return port

    def kill(self, port: int) -> None:
        """Kill a server's process."""
        os.kill(self.processes[port].pid, signal.SIGKILL)
        self.processes[port].wait()

    def fail_over_from(self, killed: int) -> None:
        """Wait until the Sentinels agree on another primary, and start the killed server again as its replica."""
        self.start_server(killed, replica_of=until(lambda: (now := self.primary()) != killed and now))

    def mend(self, killed: int) -> None:
        """`fail_over_from`, and wait until the next failover is possible."""
        self.fail_over_from(killed)
        self.wait_until_whole()

    def stop(self) -> None:
        """End all."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()


@contextmanager
def failing_over(folder: Path) -> Iterator[FailingOver]:
    """Two servers and three Sentinels, which can fail over, while the block runs."""
    with ExitStack() as parts:
        servers = FailingOver(folder)
        parts.callback(servers.stop)
        servers.start()
        yield servers
