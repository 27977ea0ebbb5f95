"""What runs docker-compose.yml: Docker where there is one, else podman in its place on Debian."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Names what compose makes: a stack of the same machine that somebody uses is another project.
PROJECT = "p2p-compose-test"


def run(
    *command: str, environment: Mapping[str, str] | None = None, log: Path | None = None, check: bool = True
) -> str:
    """A command's standard output; where it fails, an error with the end of what it said.

    Args:
        environment: beside this process's own.
        log: takes all that it says, and the output is empty then.
    """
    whole = {**os.environ, **(environment or {})}
    if log is None:
        done = subprocess.run(command, env=whole, capture_output=True, text=True)
        said = done.stdout + done.stderr
    else:
        with log.open("w") as file:
            done = subprocess.run(command, env=whole, stdin=subprocess.DEVNULL, stdout=file, stderr=file, text=True)
        said = log.read_text(errors="replace")
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{said[-4000:]}")
    return done.stdout or ""


@dataclass(frozen=True)
class Engine:
    """What runs containers here.

    Attributes:
        program: "docker" or "podman", which take the same words as far as they are used.
        compose: the command of compose, with the files that it reads.
        environment: of both.
        base: the image that ours are made from.
        build: makes every image that the compose file builds; takes a file for what is said meanwhile.
        size: of an image with all its layers, unpacked; bytes.
    """

    program: str
    compose: Sequence[str]
    environment: Mapping[str, str]
    base: str
    build: Callable[[Path], None]
    size: Callable[[str], int]

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """The output of one of the engine's own commands."""
        return run(self.program, *arguments, environment=self.environment, check=check)


def built_from() -> Mapping[str, str]:
    """The variables that say what images are built from, where git knows."""
    asked = {"REVISION": ("rev-parse", "HEAD"), "SOURCE": ("remote", "get-url", "origin")}
    said = {name: run("git", "-C", str(ROOT), *words, check=False).strip() for name, words in asked.items()}
    # A remote's address may hold a password; labels are for everybody.
    return {name: re.sub(r"//[^/@]*@", "//", text) for name, text in said.items() if text}
