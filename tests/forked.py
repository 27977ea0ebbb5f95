"""Our processes in tests, without the seconds of a core that their imports take.

A worker takes five to import torch and diffusers and one and a half to end, the API takes one; tests start them by the
hundred. `install` makes `subprocess` fork them off a process that has the libraries imported (`tests.fork_server`), and
our own modules too where a command is run as users run it, in this folder. A program of a test (`-c`) imports ours
itself, so that it can change them first. For all else each is a process like any other: with its own number, session,
environment, folder, files and exit status. The test's process is its parent and can stop it, kill it and wait for it.
What is not the same: `ps` and /proc show the arguments and the environment of the fork server.

Started as users start them are those of tests with the fixture `as_users_start_it`, those that a program starts which
a test has started (the demo, benchmarks), and all that `kind_of` does not know. Elsewhere than on Linux all are.
"""

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

_SERVER = Path(__file__).with_name("fork_server.py")
_ROOT = Path(__file__).parents[1]
_PR_SET_CHILD_SUBREAPER = 36
#: Environment variables that libraries read when they are imported, by how they begin.
_READ_AT_IMPORT = (
    "ACCELERATE", "CUDA", "DIFFUSERS", "HF_", "HUGGINGFACE", "KMP", "LD_", "MKL", "OMP", "PYTHON", "TOKENIZERS",
    "TORCH", "TRANSFORMERS", "USE_", "XDG",
)  # fmt: skip
#: Those of them that matter to no fork: the number of threads can be set later, and the folder of compiled code, which
#: torch itself sets in this process once it is imported, is not used.
_SET_LATER = ("OMP_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR")
#: Those that only torch reads, which the service does not import.
_OF_TORCH = ("ACCELERATE", "CUDA", "DIFFUSERS", "KMP", "MKL", "OMP", "TORCH", "TRANSFORMERS")

_popen = subprocess.Popen
#: What the fork servers are started with, whatever a test sets meanwhile.
_environment = dict(os.environ)
_servers: dict[str, "_Server"] = {}
_lock = threading.Lock()


def install() -> None:
    """From here on `subprocess` has workers forked."""
    if sys.platform == "linux":
        subprocess.Popen = Popen  # type: ignore[misc]


def remove() -> None:
    """From here on each is started as users start it; the fork server has ended."""
    subprocess.Popen = _popen  # type: ignore[misc]
    for server in _servers.values():
        server.close()
    _servers.clear()


@contextmanager
def paused() -> Iterator[None]:
    """Within the block workers are started as users start them."""
    before = subprocess.Popen
    subprocess.Popen = _popen  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = before  # type: ignore[misc]


class Popen(_popen):
    """`subprocess.Popen` that has workers forked."""

    def _execute_child(self, *given: Any) -> None:  # all of POSIX's arguments, as `Popen.__init__` gives them
        """Where the standard library starts the process; it has been the same on Python 3.11 to 3.13."""
        asked = signature(_popen._execute_child).bind(self, *given).arguments
        environment = dict(os.environ if asked["env"] is None else asked["env"])
        if (kind := kind_of(asked, environment)) is None:
            return super()._execute_child(*given)
        inherited = zip((asked["p2cread"], asked["c2pwrite"], asked["errwrite"]), (0, 1, 2), strict=True)
        program = {
            "arguments": [os.fspath(argument) for argument in asked["args"][1:]],
            "environment": environment,
            "cwd": os.fspath(asked["cwd"] or os.getcwd()),
            "umask": asked["umask"],
            "start_new_session": asked["start_new_session"],
        }
        descriptors = [own if own >= 0 else ours for own, ours in inherited]
        self.pid = _running(kind).start(program, descriptors, has_ours=_is_as_users_run_it(program))
        self._child_created = True
        names = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[name] for name in names))


def kind_of(asked: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """Whose libraries a command's process needs, where it is one of ours that can be forked."""
    arguments = asked["args"]
    if isinstance(arguments, str | bytes | os.PathLike) or list(arguments[:1]) != [sys.executable]:
        return None
    plain = (
        not asked["shell"]
        and asked["executable"] is None
        and asked["preexec_fn"] is None
        and not asked["pass_fds"]
        and asked["close_fds"]
        and asked["process_group"] == -1
        and (asked["uid"], asked["gid"], asked["gids"]) == (None, None, None)
    )
    kind = _kind(arguments[1:]) if plain else None
    if kind is None or _read_at_import(environment, kind) != _read_at_import(_environment, kind):
        return None
    return kind


def _kind(arguments: Sequence[str]) -> str | None:
    match list(arguments):
        case ["-m", "worker", *_]:
            return "worker"
        case ["-m", "service" | "outbox" | "reaper" | "admin", *_]:
            return "service"
        case ["-c", str(program), *_] if "worker" in program or "p2p" in program:
            return "worker"
    return None


def _is_as_users_run_it(program: Mapping[str, Any]) -> bool:
    """Whether its modules are those of this folder, and nothing changes them before they are used."""
    return program["arguments"][0] == "-m" and os.path.samefile(program["cwd"], _ROOT)


def _read_at_import(environment: Mapping[str, str], kind: str) -> dict[str, str]:
    set_later = (*_SET_LATER, *(_OF_TORCH if kind == "service" else ()))
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ_AT_IMPORT) and not name.startswith(set_later)
    }


def _running(kind: str) -> "_Server":
    with _lock:
        return _servers.get(kind) or _servers.setdefault(kind, _Server(kind))


class _Server:
    """The fork servers of this process for one kind: without our modules, and with them.

    The first starts with the first program that is asked for, the other is forked off it.
    """

    def __init__(self, kind: str) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        self._sockets, its = zip(*pairs, strict=True)
        numbers = [each.fileno() for each in its]
        # A session of its own: Ctrl-C is not for it. It ends when the sockets are closed, so with this process.
        self._process = _popen(
            [sys.executable, str(_SERVER), kind, *map(str, numbers)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=_environment,
            pass_fds=numbers,
            start_new_session=True,
        )
        for each in its:
            each.close()

    def start(self, program: Mapping[str, Any], descriptors: list[int], *, has_ours: bool) -> int:
        """Has a program started with these three as its standard files; gives the number of its process."""
        asked = self._sockets[has_ours]
        with _lock, _adopting():
            socket.send_fds(asked, [json.dumps(program).encode()], descriptors)
            answer = asked.recv(32)
        if not answer:
            raise RuntimeError(f"the fork server ended with status {self._process.wait()}: see its lines above")
        return int(answer)

    def close(self) -> None:
        for each in self._sockets:
            each.close()
        self._process.wait()


class _adopting:
    """Within the block the orphans of our children become our children, instead of those of process 1."""

    def __enter__(self) -> None:
        self._set(1)

    def __exit__(self, *_: object) -> None:
        self._set(0)

    @staticmethod
    def _set(value: int) -> None:
        if _libc().prctl(_PR_SET_CHILD_SUBREAPER, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
