"""A stranger's file read by a process that is bounded in all it can take (`service/images/decode.py`).

What bounds what: the kernel the process's memory and its CPU time, this side how long it may take in all and how many
there are at once. A thread waits for each, and the API goes on meanwhile.
"""

import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from anyio import CapacityLimiter, to_thread

from service.jobs.images import ImageFormat

log = logging.getLogger(__name__)

_PROGRAM = Path(__file__).with_name("decode.py")
#: Bytes of memory that the process has before it reads anything, with Pillow and its decoders loaded, and some room.
_BASE = 128 * 2**20
#: Bytes a pixel while it is worked on: as decoded (four bytes in Pillow, even for RGB), turned or laid flat (the same
#: again, twice at once), and written. Measured on noise, which packs worst: pictures of the largest size went through
#: with 16 in every format.
_PER_PIXEL = 24
#: How often longer than it may compute a process may take in all, on machines where it does not get a core at once.
_PATIENCE = 30


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What is read of a stranger's file at most.

    Attributes:
        bytes: of the file.
        pixels: of the picture.
        seconds: of a core's time to read it.
        at_once: files that are read at the same time.
    """

    bytes: int
    pixels: int
    seconds: int
    at_once: int

    @property
    def memory(self) -> int:
        """Bytes of address space of a process that reads a file."""
        return _BASE + _PER_PIXEL * self.pixels + 3 * self.bytes


class ImageRefused(Exception):
    """A file that is not taken; `code` is stable, the message says what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Normalised:
    """A picture as it is kept.

    Attributes:
        png: RGB, upright, without metadata.
        format: of the file that it was read from.
        digest: of its size and pixels.
    """

    png: bytes
    format: ImageFormat
    width: int
    height: int
    digest: str


class ImageReader:
    """Reads strangers' files, a few at a time."""

    def __init__(self, limits: ImageLimits) -> None:
        self.limits = limits
        self._at_once = CapacityLimiter(limits.at_once)

    async def read(self, file: BinaryIO | bytes) -> Normalised:
        """The picture of a file; one on disk, as forms leave it, is never in this process's memory.

        Raises:
            ImageRefused: it is no picture that can be read, or more than may be.
        """
        return await to_thread.run_sync(self._read, file, limiter=self._at_once)

    def _read(self, file: BinaryIO | bytes) -> Normalised:
        limits = self.limits
        said = json.dumps({"pixels": limits.pixels, "seconds": limits.seconds, "memory": limits.memory})
        # -P: what lies beside the program is not importable from it.
        command = [sys.executable, "-P", str(_PROGRAM), said]
        timeout = limits.seconds * _PATIENCE
        try:
            if isinstance(file, bytes):
                done = subprocess.run(command, input=file, capture_output=True, timeout=timeout, check=False)
            else:
                file.seek(0)
                done = subprocess.run(command, stdin=file, capture_output=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise _too_heavy() from error
        head, _, png = done.stdout.partition(b"\n")
        if done.returncode or not head:
            # Killed by the kernel, or by what the file did to a decoder. What it printed may hold what was sent.
            log.warning("a file ended its decoder with status %d", done.returncode)
            raise _too_heavy()
        answer = json.loads(head)
        if "code" in answer:
            raise ImageRefused(answer["code"], answer["detail"])
        return Normalised(png=png, **answer)


def _too_heavy() -> ImageRefused:
    return ImageRefused("image_too_heavy", "reading it takes more time or memory than it may: save it plainly")
