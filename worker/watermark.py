"""The hook by which an installation puts a watermark into what is painted; there is none by default.

The setting `WATERMARK="package.module:function"` names it. It is called in the worker with a picture as it is handed
out, and gives the same picture with the mark in it, in the same size:

    the model's picture, a blend or paste within it -> moderation -> pasted back into the photo -> WATERMARK -> the
    file, with its DigitalSourceType -> Content Credentials

So moderation sees what the model painted, the mark lies in the size and the pixels that the client gets, and the
signature covers the mark. Heat maps are drawn over marked pictures. Previews are marked too, each of its pictures by a
call of its own. A hook that raises, or gives anything else, fails the job with `marking_failed`, and shows no preview:
what was not marked is not shown.

As with moderation, the job's lease is renewed meanwhile, and no two calls are made at the same time.
"""

import logging
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from PIL import Image

from jobs.model import Job
from worker.events import Failed
from worker.hooks import function_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Unmarked:
    """A picture to be marked.

    Attributes:
        picture: RGB, in the size in which it is handed out.
        index: 0 is the source, 1 the first edit.
        seed: of the picture's run; None of a preview.
        preview: whether the picture is not finished.
        model, job_id, owner: of the job.
    """

    picture: Image.Image
    index: int
    seed: int | None = None
    preview: bool = False
    model: str
    job_id: str
    owner: str


class Watermark(Protocol):
    """What the setting names."""

    def __call__(self, unmarked: Unmarked, /) -> Image.Image:
        """The picture with its mark."""


class NotMarked(Exception):
    """A picture could not be marked, so it must not be shown.

    Attributes:
        failure: how the job ends.
    """

    def __init__(self) -> None:
        super().__init__("not marked")
        message = "a picture could not be marked as made by a machine: send the edit again"
        self.failure = Failed(code="marking_failed", message=message)


class InvalidWatermark(Exception):
    """The setting names no function that can be called."""

    def __init__(self, setting: str, reason: object) -> None:
        super().__init__(f'WATERMARK={setting!r} cannot be used: {reason}; it needs "package.module:function"')


def load_watermark(setting: str) -> Watermark | None:
    """The hook that a setting names; None if it is empty.

    Raises:
        InvalidWatermark: there is no such function.
    """
    if not setting:
        return None
    try:
        return function_of(setting)
    except ValueError as error:
        raise InvalidWatermark(setting, error) from error


@dataclass(frozen=True)
class Watermarks:
    """A hook, or none, as the worker asks it."""

    hook: Watermark | None = None
    # Hooks are written for one call at a time; previews are marked beside the run.
    _turn: Lock = field(default_factory=Lock, repr=False, compare=False)

    def marked(
        self, job: Job, picture: Image.Image, index: int, seed: int | None = None, *, preview: bool = False
    ) -> Image.Image:
        """A picture with its mark; raises `NotMarked`."""
        if self.hook is None:
            return picture
        unmarked = Unmarked(
            picture=picture.copy(),
            index=index,
            seed=seed,
            preview=preview,
            model=job.model,
            job_id=job.id,
            owner=job.owner,
        )
        try:
            with self._turn:
                found = self.hook(unmarked)
            if not isinstance(found, Image.Image) or (found.size, found.mode) != (picture.size, "RGB"):
                raise TypeError("the hook gave something else than an RGB picture of the same size")
        except Exception as error:
            # The message of an exception may hold what the client sent.
            log.error("the watermark hook failed: %s", type(error).__name__)
            raise NotMarked from None
        return found


#: Nothing is marked.
NO_WATERMARKS = Watermarks()
