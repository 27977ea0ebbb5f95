"""`python3 -m tools.tutorial`: pastes docs/tutorial.md into terminals, as a reader would, and says how long it took.

A block is pasted by what stands behind its language: `terminal=1` into that one, each of them a bash of its own that
begins in the clone; `until="..."` goes on once the terminal says so, for what runs until Ctrl-C; `file=...` is saved.
Uses nothing that has to be installed, so that it runs in a clean clone.
"""

import argparse
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from stack.patience import GRACE

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"
#: Seconds that one block may take: torch is large, and networks are slow.
PATIENCE = 1800
#: Of the service, the shop, and the receiver in TypeScript.
PORTS = (8000, 9000, 9001)
_PASTED = "__pasted__"


class NotAsWritten(Exception):
    """A block did not do what the tutorial says; the message ends with what its terminal said."""


@dataclass(frozen=True)
class Block:
    """A fenced block: the part that it stands in, what stands behind its language, and its text."""

    part: str
    options: Mapping[str, str]
    text: str


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a tutorial, in order."""
    part, info, body = "", "", ""
    for line in text.splitlines(keepends=True):
        if info and line.rstrip() == "```":
            options = dict(option.split("=", 1) for option in shlex.split(info)[1:])
            yield Block(part, options, body)
            info = ""
        elif info:
            body += line
        elif line.startswith("## "):
            part = line[3:].rstrip()
        elif line.startswith("```"):
            info, body = line[3:].strip(), ""


def pasted(text: str, folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[tuple[Block, float, str]]:
    """Pastes a tutorial's blocks one after the other, and says of each how many seconds it took and what was said.

    At the end all that runs is stopped.

    Args:
        folder: the clone.
        environment: what is set beside what is set here.
    Raises:
        NotAsWritten: a block failed, or did not come to its end.
    """
    with ExitStack() as open_terminals:
        terminals: dict[str, Terminal] = {}
        for block in blocks(text):
            began, said = time.monotonic(), ""
            if file := block.options.get("file"):
                (folder / file).write_text(block.text, encoding="utf-8")
            else:
                name = block.options["terminal"]
                if name not in terminals:
                    terminals[name] = open_terminals.enter_context(Terminal(folder, environment or {}))
                said = terminals[name].paste(block.text, block.options.get("until"))
            yield block, time.monotonic() - began, said


@dataclass
class Terminal:
    """A bash that ends at the first command that fails."""

    folder: Path
    environment: Mapping[str, str]

    def __enter__(self) -> Self:
        self._bash = subprocess.Popen(
            ["bash", "-e", "-o", "pipefail"],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def paste(self, text: str, until: str | None) -> str:
        """Pastes commands, waits for their end, or until something is said, and gives what was said before."""
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{text}\necho {_PASTED}\n")
        self._bash.stdin.flush()
        deadline, said = time.monotonic() + PATIENCE, list[str]()
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                shown = "".join(said[-30:])
                raise NotAsWritten(f"this did not come to its end:\n\n{text}\nwhat it said:\n\n{shown}")
            if (until or _PASTED) in line:
                return "".join(said)
            said.append(line)

    def _listen(self) -> None:
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def __exit__(self, *_: object) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        # The end of what is pasted, and Ctrl-C for what runs; whatever ignores both is ended otherwise.
        self._bash.stdin.close()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._bash.pid, number)
                self._bash.wait(GRACE)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._listener.join(GRACE)
        self._bash.stdout.close()


def on_ports(text: str, ports: Sequence[int]) -> str:
    """A tutorial on other ports than its own, where those are taken."""
    for own, other in zip(PORTS, ports, strict=True):
        text = text.replace(str(own), str(other))
    return text


def main() -> None:
    """Follow the tutorial here."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.tutorial", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ports", type=int, nargs=len(PORTS), default=PORTS, help="where the tutorial's are taken")
    ports = parser.parse_args().ports
    text = on_ports(TUTORIAL.read_text(encoding="utf-8"), ports)
    seconds: dict[str, float] = {}
    try:
        for block, taken, _ in pasted(text, TUTORIAL.parents[1], {"PORT": str(ports[0])}):
            seconds[block.part] = seconds.get(block.part, 0.0) + taken
    except NotAsWritten as error:
        sys.exit(str(error))
    for part, taken in seconds.items():
        print(f"{taken / 60:5.1f} min  {part}")
    print(f"{sum(seconds.values()) / 60:5.1f} min  in all")


if __name__ == "__main__":
    main()
