"""Processes that end with the one that started them: started with a log each, stopped in reverse order."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stack.patience import GRACE

#: Lines of a log that are shown when its process fails.
TAIL = 25


class NotStarted(Exception):
    """A part of the stack did not come up; the message says why and what to do."""


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen]:
    """A process that runs as long as the block does, in `folder` where one is given; what it prints goes to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            # What it keeps is for this user alone: jobs, hashes of keys, pictures, secrets.
            umask=0o077,
            # Its own group: Ctrl-C reaches us alone, and we stop it in our order.
            start_new_session=True,
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen) -> int:
    """Ask a process to end, insist after a while, and give its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def python(*arguments: str) -> list[str]:
    """A command of this very interpreter."""
    return [sys.executable, *arguments]


def tail(log: Path) -> str:
    """The end of a log, indented."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"    {line}" for line in lines[-TAIL:])
