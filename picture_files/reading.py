"""A stranger's file read by a process that is bounded in all it can take (`picture_files.decoding`).

What bounds what: the kernel the process's memory and its CPU time, this side how long it may take in all and how many
there are at once. A thread waits for each, and the API goes on meanwhile. The picture comes in a file on disk: of 50
million pixels it may have 150 MB, which the API never holds.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from anyio import CapacityLimiter, to_thread

from jobs.images import AsMask, ImageFormat
from jobs.model import ANYBODY
from process.refusal import Refusal
from process.turns import Turns

log = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[1]
#: How often longer than it may compute a process may take in all, on machines where it does not get a core at once.
_PATIENCE = 30
#: Variables that a process which reads a picture is given: what Python needs to start, and where files may lie.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


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


class ImageRefused(Refusal):
    """A file that is not taken; `code` is stable, the message says what to do."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Normalised:
    """A picture as it is kept; close it, or leave it to a `with`.

    Attributes:
        file: at the beginning of a PNG that goes to its end: RGB, upright, without metadata.
        format: of the file that it was read from.
        digest: of its size and pixels.
        length: of the PNG, in bytes.
        as_mask: what it says as a mask.
        mask: a PNG, white where its alpha channel is painted; empty where nothing of it is transparent.
    """

    file: BinaryIO
    format: ImageFormat
    width: int
    height: int
    digest: str
    length: int
    as_mask: AsMask
    mask: bytes

    def __enter__(self) -> "Normalised":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class ImageReader:
    """Reads strangers' files, a few at a time."""

    def __init__(self, limits: ImageLimits) -> None:
        self.limits = limits
        self._turns = Turns(limits.at_once)
        self._threads = CapacityLimiter(limits.at_once)

    async def read(self, file: BinaryIO | bytes, owner: str = ANYBODY) -> Normalised:
        """The picture of a file in its owner's turn; one on disk, as forms leave it, is never in this process's memory.

        Raises:
            ImageRefused: it is no picture that can be read, or more than may be.
            TooManyAtOnce: as many of this owner's wait as may.
        """
        async with self._turns.turn(owner):
            return await to_thread.run_sync(self._read, file, limiter=self._threads)

    def _read(self, file: BinaryIO | bytes) -> Normalised:
        out = tempfile.TemporaryFile()  # noqa: SIM115, closed by the caller
        try:
            return self._read_into(out, file)
        except BaseException:
            out.close()
            raise

    def _read_into(self, out: BinaryIO, file: BinaryIO | bytes) -> Normalised:
        limits = self.limits
        said = json.dumps({"pixels": limits.pixels, "seconds": limits.seconds, "memory": limits.memory})
        # -P: nothing is importable that lies in the directory where the API was started.
        command = [sys.executable, "-P", "-m", "picture_files.decoding", said]
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
        mask, as_mask = out.read(answer.pop("mask")), AsMask(**answer.pop("as_mask"))
        length = os.fstat(out.fileno()).st_size - out.tell()
        return Normalised(file=out, length=length, as_mask=as_mask, mask=mask, **answer)


def _without_settings() -> dict[str, str]:
    """The environment without passwords: a file that makes a decoder read out of bounds finds none in its memory."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _too_heavy() -> ImageRefused:
    return ImageRefused("image_too_heavy", "reading it takes more time or memory than it may: save it plainly")
