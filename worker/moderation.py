"""The hook by which an installation judges what is asked for and what is painted; there is none by default.

The setting `MODERATION="package.module:function"` names it. It is called in the worker with a `Material`: before the
run with the prompts, and with the picture that was sent where one is edited; after it once with each finished picture,
before any of them is stored. It gives None to
allow, or the reason for which it refuses: the job then fails with the code `moderated`, and its owner sees why.
A hook that raises, or gives anything else, fails the job with `moderation_failed`: what was not judged is not shown.

Of a job that asks for previews it is called with each picture of each preview too, in another thread, while the run
goes on; never twice at the same time. A preview that is not allowed is not shown, nor any after it; the job goes on.

The job's lease is renewed meanwhile; a worker whose hook takes longer than a step may (the model's `patience`) is taken
for hung.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from PIL import Image

from jobs.model import Job
from process.audit import NO_AUDIT, Audit
from worker.events import Failed
from worker.hooks import function_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Material:
    """What is to be judged.

    Attributes:
        prompts: the source's, then each target's.
        negative_prompt: what guidance pushes away from.
        picture: the one that was sent, or one of the results, RGB; None with the prompts.
        index: of the picture: 0 is the source, 1 the first edit.
        seed: of the picture's run; None of a preview, which may show several: its index counts all that it shows.
        preview: whether the picture is not finished: small, and blurred as yet.
        model, job_id, owner: of the job.
    """

    prompts: tuple[str, ...]
    negative_prompt: str
    picture: Image.Image | None = None
    index: int | None = None
    seed: int | None = None
    preview: bool = False
    model: str
    job_id: str
    owner: str


class Moderation(Protocol):
    """What the setting names."""

    def __call__(self, material: Material, /) -> str | None:
        """None if the material is allowed, else why it is not, in words for the client."""


class NotAllowed(Exception):
    """The job must not go on.

    Attributes:
        failure: how it ends.
    """

    def __init__(self, failure: Failed) -> None:
        super().__init__(failure.message)
        self.failure = failure


class InvalidModeration(Exception):
    """The setting names no function that can be called."""

    def __init__(self, setting: str, reason: object) -> None:
        super().__init__(f'MODERATION={setting!r} cannot be used: {reason}; it needs "package.module:function"')


def load_moderation(setting: str) -> Moderation | None:
    """The hook that a setting names; None if it is empty.

    Raises:
        InvalidModeration: there is no such function.
    """
    if not setting:
        return None
    try:
        return function_of(setting)
    except ValueError as error:
        raise InvalidModeration(setting, error) from error


@dataclass(frozen=True)
class Judge:
    """A hook, or none, as the engine asks it."""

    hook: Moderation | None = None
    audit: Audit = NO_AUDIT
    # Hooks are written for one call at a time; previews are judged beside the run.
    _turn: Lock = field(default_factory=Lock, repr=False, compare=False)

    def judge_prompts(self, job: Job) -> None:
        """Raises `NotAllowed` where the run must not begin."""
        self._judge(job)

    def judge_pictures(self, job: Job, pictures: tuple[Image.Image, ...], seed: int) -> None:
        """Raises `NotAllowed` where any of a seed's pictures must not be shown."""
        for index, picture in enumerate(pictures):
            self._judge(job, picture, index, seed)

    def allows_preview(self, job: Job, pictures: Sequence[Image.Image]) -> bool:
        """Whether all pictures of a preview may be shown."""
        try:
            for index, picture in enumerate(pictures):
                self._judge(job, picture, index, preview=True)
        except NotAllowed:
            return False
        return True

    def _judge(
        self,
        job: Job,
        picture: Image.Image | None = None,
        index: int | None = None,
        seed: int | None = None,
        *,
        preview: bool = False,
    ) -> None:
        if self.hook is None:
            return
        material = Material(
            prompts=job.spec.prompts,
            negative_prompt=job.spec.sampling.negative_prompt,
            # A copy: what a hook draws into it is not what is stored.
            picture=None if picture is None else picture.copy(),
            index=index,
            seed=seed,
            preview=preview,
            model=job.model,
            job_id=job.id,
            owner=job.owner,
        )
        try:
            with self._turn:
                reason = self.hook(material)
            if reason is not None and not isinstance(reason, str):
                raise TypeError(f"the hook gave {type(reason).__name__}, and may give None or a reason")
        except Exception as error:
            # The message of an exception may repeat the prompt, which is never logged.
            log.error("the moderation hook failed: %s", type(error).__name__)
            message = "it could not be judged whether this may be shown: send the edit again"
            raise NotAllowed(Failed(code="moderation_failed", message=message)) from None
        if reason is not None:
            what = "the prompts" if index is None else f"{'a preview of ' if preview else ''}picture {index}"
            log.info("refused by moderation, %s", what)
            self.audit.note("moderation_refused", job=job.id, key=job.owner, model=job.model, what=what)
            raise NotAllowed(Failed(code="moderated", message=f"refused: {reason or 'no reason is given'}"))


#: Nobody judges, and everything is allowed.
NOBODY = Judge()
