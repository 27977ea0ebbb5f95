"""Runs a job on the resident model and says what happens: `p2p` in, events out.

Knows neither Redis nor the storage, and lets no exception out: whatever goes wrong inside a job is that job's
`Failed`, and the next one finds the worker as it was.
"""

import gc
import logging
from collections.abc import Callable, Iterator

import torch

from p2p.edit import EditResult
from p2p.errors import P2PError
from p2p.sampling import DenoisingStep
from p2p.trajectory import Trajectory
from service.jobs.catalogue import ModelDeclaration
from service.jobs.events import Event, Failed, Finished, Progress, Started
from service.jobs.model import Job
from worker.apart import edited_apart
from worker.moderation import Judge, NotAllowed
from worker.photo import FetchImage, InvertedPhoto, NoPhoto, inverted_photo, no_images, photo_of
from worker.results import artifacts_of
from worker.sampler import Sampler

log = logging.getLogger(__name__)

#: Looks the run of a source up by its digest; None where it is not kept.
FindSource = Callable[[str], Trajectory | None]


def nothing_kept(source: str) -> None:
    """`FindSource` where no source is kept."""


#: Nobody judges, and everything is allowed.
NOBODY = Judge()


class DeviceLost(Exception):
    """The GPU has failed: nothing in this process can use it any more (a CUDA error other than its memory's)."""


class Engine:
    """One model, ready to edit."""

    def __init__(
        self, sampler: Sampler, declaration: ModelDeclaration, *, revision: str, judge: Judge = NOBODY
    ) -> None:
        self._sampler = sampler
        self._declaration = declaration
        self._revision = revision
        self._judge = judge

    def run(self, job: Job, find: FindSource = nothing_kept, fetch: FetchImage = no_images) -> Iterator[Event]:
        """The events of one job, in order; the last is `Finished` or `Failed`.

        Between any two of them the caller may stop iterating: that is where a cancellation or a deadline acts.
        """
        yield Started()
        try:
            self._judge.judge_prompts(job)
            if job.spec.source.image is None:
                yield from self._edited(job, find(self._sampler.source_of(job.spec)))
            else:
                yield from self._edited_photo(job, find, fetch)
        except (NotAllowed, NoPhoto) as refusal:
            yield refusal.failure
        except P2PError as error:
            yield Failed(code=error.code, message=str(error))
        except (MemoryError, torch.OutOfMemoryError):
            log.exception("job %s: out of memory", job.id)
            yield Failed(code="out_of_memory", message="the edit does not fit into memory: ask for a smaller size")
        except torch.AcceleratorError as error:
            raise DeviceLost(str(error)) from error
        except Exception:
            log.exception("job %s failed", job.id)
            yield Failed(code="internal_error", message="something failed here that should not: send the edit again")

    def _edited_photo(self, job: Job, find: FindSource, fetch: FetchImage) -> Iterator[Event]:
        photo = photo_of(job.spec, fetch)
        self._judge.judge_pictures(job, (photo.whole,))
        inverted = yield from inverted_photo(job.spec, photo, self._sampler, find)
        yield from self._edited(job, inverted.trajectory, inverted)

    def _edited(self, job: Job, kept: Trajectory | None, photo: InvertedPhoto | None = None) -> Iterator[Event]:
        before = 0 if photo is None else photo.steps
        for outcome in self._steps(job, kept, photo):
            if isinstance(outcome, EditResult):
                self._judge.judge_pictures(job, outcome.images)
                yield from artifacts_of(
                    outcome,
                    job,
                    self._declaration,
                    revision=self._revision,
                    source_was_kept=kept is not None,
                    photo=photo,
                )
            else:
                yield Progress(step=before + outcome.index + 1, steps=before + outcome.num_steps)
        yield Finished()

    def _steps(
        self, job: Job, kept: Trajectory | None, photo: InvertedPhoto | None
    ) -> Iterator[DenoisingStep | EditResult]:
        """The steps of a job; where they do not fit into memory, once more with each edit apart."""
        if photo is not None and not job.spec.targets:
            yield self._sampler.source_alone(job.spec, photo.trajectory, photo.fidelity.reconstruction)
            return
        try:
            yield from self._sampler.steps(job.spec, kept)
            return
        except (MemoryError, torch.OutOfMemoryError):
            if len(job.spec.targets) == 1:
                raise
            log.warning("job %s: %d edits at once do not fit into memory", job.id, len(job.spec.targets), exc_info=True)
        # Outside the handler: what the exception holds on to is free by now.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        yield from edited_apart(self._sampler, job.spec, kept)
