"""Docker itself, where its daemon answers."""

import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.compose.engine import PROJECT, ROOT, Engine, run

#: As the Dockerfile has it.
BASE = "python:3.12-slim"


def is_there() -> bool:
    """Whether Docker and its compose answer. Processes of containers must be this machine's, to be killed."""
    if platform.system() != "Linux" or shutil.which("docker") is None:
        return False
    asked = (("docker", "info"), ("docker", "compose", "version"))
    return all(subprocess.run(words, capture_output=True).returncode == 0 for words in asked)


@contextmanager
def engine(folder: Path, environment: Mapping[str, str]) -> Iterator[Engine]:
    """Docker as it runs here."""
    compose = ("docker", "compose", "--project-name", PROJECT, "--project-directory", str(ROOT))

    def build(log: Path) -> None:
        run(*compose, "build", environment=environment, log=log)
        run("docker", "pull", "--quiet", BASE)  # what builds images keeps it for itself

    def size(image: str) -> int:
        # Not what the image itself is said to have: some stores of Docker's count its packed layers too.
        return sum(map(int, run("docker", "history", "--human=false", "--format={{.Size}}", image).split()))

    yield Engine("docker", compose, environment, BASE, build, size)
