"""What the processes of a world did and when: lines of JSON that all of them append to one file.

A line is on disk, as far as other processes can tell, before the next instruction runs: what a killed process did
last stands in it.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Journal:
    """The journal of one world; any number of processes may write it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: list[Line] = []
        self._offset = 0

    def write(self, what: str, **about: object) -> None:
        """Append what happened in this process just now."""
        line = json.dumps({"at": time.time(), "pid": os.getpid(), "what": what, **about}) + "\n"
        # One write to a file opened for appending: lines of different processes do not mix.
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    def lines(self) -> list[Line]:
        """Everything so far, in the order in which it was written."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
            complete = new[: new.rfind(b"\n") + 1]
            self._offset += len(complete)
            self._read += map(json.loads, complete.splitlines())
        return self._read

    def of(self, what: str) -> Iterator[Line]:
        """The lines of one kind."""
        return (line for line in self.lines() if line["what"] == what)

    def job_of(self, pid: int) -> str | None:
        """The job that a process has in hand; None if it has put the last one down."""
        mine = [line for line in self.lines() if line["pid"] == pid and line["what"] in ("taken", "left")]
        return mine[-1]["job"] if mine and mine[-1]["what"] == "taken" else None
