"""pip within a build, set up as it is out here: the indexes, folders and certificates of this machine."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.compose.engine import run

#: Seconds that an index may take to answer before it is taken to be out of reach.
SILENCE = 5
CERTIFICATES = Path("/etc/ssl/certs")


def as_in_here(folder: Path, dockerfile: Path) -> list[str]:
    """Options of `podman build`. Nothing of it stays in the image: the file and the folders are mounted.

    An index that the Dockerfile names and that is out of reach is refused at once, where pip would wait for it.
    """
    options = {}
    for line in run(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, text = line.partition("=")
        scope, _, option = name.rpartition(".")
        if scope in ("global", "install", ":env:") and option != "require-virtualenv":
            options[option] = text.strip("'").replace("\\n", " ")
    hosts = set(re.findall(r"index-url https?://([^/\s]+)", dockerfile.read_text()))
    refused = [f"{host}:127.0.0.1" for host in sorted(hosts) if not _answers(host)]
    if refused:
        options["retries"] = "1"  # it is asked for every package
    file = folder / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{option} = {text}\n" for option, text in options.items()))
    named = {path for text in options.values() for path in _local(text)} | {CERTIFICATES}
    mounted = {path for path in named if path.exists() and not named & set(path.parents)}
    volumes = [f"{file}:/etc/pip.conf:ro", *(f"{path}:{path}:ro" for path in sorted(mounted))]
    return [*(f"--volume={each}" for each in volumes), *(f"--add-host={each}" for each in refused)]


def _local(text: str) -> Iterator[Path]:
    for word in text.split():
        if word.startswith("file://"):
            yield Path(word.removeprefix("file://")).parent  # an index names files beside itself
        elif word.startswith("/"):
            yield Path(word)


def _answers(host: str) -> bool:
    try:
        httpx.get(f"https://{host}/", timeout=SILENCE)
    except httpx.HTTPError:
        return False
    return True
