"""A stranger's file read by a process that is bounded in all it can take (`picture_files.decoding`).

How many there are at once is bounded here. A thread waits for each, and the API goes on meanwhile. The picture comes in
a file on disk: of 50 million pixels it may have 150 MB, which the API never holds.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from anyio import CapacityLimiter, to_thread

from jobs.images import AsMask, ImageFormat, Provenance
from jobs.model import ANYBODY
from picture_files.bounded import ImageLimits, ImageRefused, answer_of
from picture_files.verification import Verification
from process.turns import Turns

__all__ = ["ImageLimits", "ImageReader", "ImageRefused", "Normalised"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Normalised:
    """A picture as it is kept; close it, or leave it to a `with`.

    Attributes:
        file: at the beginning of a PNG that goes to its end: RGB, upright, without metadata but its provenance.
        format: of the file that it was read from.
        digest: of its size and pixels.
        length: of the PNG, in bytes.
        as_mask: what it says as a mask.
        mask: a PNG, white where its alpha channel is painted; empty where nothing of it is transparent.
        provenance: what the file said of its origin; the PNG says the same.
    """

    file: BinaryIO
    format: ImageFormat
    width: int
    height: int
    digest: str
    length: int
    as_mask: AsMask
    mask: bytes
    provenance: Provenance

    def __enter__(self) -> "Normalised":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class ImageReader:
    """Reads strangers' files, a few at a time.

    Args:
        anchors: PEM of the authorities whose credentials are trusted; None for nobody's.
    """

    def __init__(self, limits: ImageLimits, anchors: Path | None = None) -> None:
        self.limits, self._anchors = limits, anchors
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

    async def verify(self, file: BinaryIO | bytes, owner: str = ANYBODY) -> Verification:
        """What a file says of its picture's origin, in its owner's turn; raises as `read` does."""
        async with self._turns.turn(owner):
            return await to_thread.run_sync(self._verify, file, limiter=self._threads)

    def _read(self, file: BinaryIO | bytes) -> Normalised:
        out = tempfile.TemporaryFile()  # noqa: SIM115, closed by the caller
        try:
            return self._read_into(out, file)
        except BaseException:
            out.close()
            raise

    def _read_into(self, out: BinaryIO, file: BinaryIO | bytes) -> Normalised:
        answer = answer_of("picture_files.decoding", file, out, self.limits)
        mask, as_mask = out.read(answer.pop("mask")), AsMask(**answer.pop("as_mask"))
        length, provenance = os.fstat(out.fileno()).st_size - out.tell(), Provenance(**answer.pop("provenance"))
        return Normalised(file=out, length=length, as_mask=as_mask, mask=mask, provenance=provenance, **answer)

    def _verify(self, file: BinaryIO | bytes) -> Verification:
        anchors = None if self._anchors is None else str(self._anchors.absolute())
        with tempfile.TemporaryFile() as out:
            module = "picture_files.decoding.verifying"
            return Verification.model_validate(answer_of(module, file, out, self.limits, anchors=anchors))
