"""A stranger's file given to a process that is bounded in all it can take, and killed when its time is over.

The kernel bounds the process's memory and its CPU time (`picture_files.decoding` asks it to), this side how long it may
take in all.
"""

import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from process.refusal import Refusal

log = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[1]
#: How often longer than it may compute a process may take in all, on machines where it does not get a core at once.
_PATIENCE = 30
#: Variables that a process which reads a picture is given: what Python needs to start, and where files may lie.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


class ImageRefused(Refusal):
    """A file that is not taken; `code` is stable, the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What is read of a stranger's file at most.

    Attributes:
        bytes: of the file.
        pixels: of the picture.
        seconds: of a core's time to read it.
        at_once: files that are read at the same time.
        memory: bytes of address space of a process that reads a file.
    """

    bytes: int
    pixels: int
    seconds: int
    at_once: int
    memory: int


def answer_of(
    module: str, file: BinaryIO | bytes, out: BinaryIO, limits: ImageLimits, **said: str | None
) -> dict[str, Any]:
    """What a module's process says of a file: the first line that it writes; `out` stands behind it then.

    Args:
        said: to the process, beside the limits.
    Raises:
        ImageRefused: it refuses the file, or was ended by it.
    """
    limited = {"pixels": limits.pixels, "seconds": limits.seconds, "memory": limits.memory}
    # -P: nothing is importable that lies in the directory where the API was started.
    command = [sys.executable, "-P", "-m", module, json.dumps({**limited, **said})]
    # Each heap of glibc's reserves 64 MB of the address space, used or not.
    environment = {**_without_settings(), "PYTHONPATH": str(_ROOT), "MALLOC_ARENA_MAX": "1"}
    given: dict[str, object] = {"input": file} if isinstance(file, bytes) else {"stdin": file}
    if not isinstance(file, bytes):
        file.seek(0)
    try:
        done = subprocess.run(  # type: ignore[call-overload]
            command,
            stdout=out,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=limits.seconds * _PATIENCE,
            check=False,
            **given,
        )
    except subprocess.TimeoutExpired as error:
        raise _too_heavy() from error
    out.seek(0)
    head = out.readline()
    if done.returncode or not head:
        # Killed by the kernel, or by what the file did to a decoder. What it printed may hold what was sent.
        log.warning("a file ended its decoder with status %d", done.returncode)
        raise _too_heavy()
    answer = json.loads(head)
    if "code" in answer:
        raise ImageRefused(answer["code"], answer["detail"])
    return answer


def _without_settings() -> dict[str, str]:
    """The environment without passwords: a file that makes a decoder read out of bounds finds none in its memory."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _too_heavy() -> ImageRefused:
    return ImageRefused("image_too_heavy", "reading it takes more time or memory than it may: save it plainly")
