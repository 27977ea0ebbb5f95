"""Runs a job on the resident model and says what happens: `p2p` in, events out.

Knows neither Redis nor the storage, and lets no exception out: whatever goes wrong inside a job is that job's
`Failed`, and the next one finds the worker as it was.
"""

import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from PIL import Image

from jobs.catalogue import ModelDeclaration
from jobs.events import Event, Failed, Finished, PreviewReady, Progress, Started
from jobs.model import Job
from p2p.edit import EditResult
from p2p.errors import NotFinite, P2PError
from p2p.previews import preview_steps
from p2p.sampling import DenoisingStep
from p2p.trajectory import Trajectory
from worker.masks import Masks, masks_of
from worker.moderation import Judge, NotAllowed
from worker.photo import FetchImage, InvertedPhoto, NoPhoto, inverted_photo, no_images, photo_of
from worker.previews import sheet
from worker.results import artifacts_of
from worker.runs import run_all, ways
from worker.sampler import Sampler

log = logging.getLogger(__name__)

#: Looks the run of a source up by its digest; None if it is not kept.
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
                yield from self._edited(job, self._kept(job, find), masks_of(job.spec, None, fetch))
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

    def _kept(self, job: Job, find: FindSource) -> Mapping[int, Trajectory]:
        """The kept sources of a job, by their seeds: each seed's is another source."""
        digests = {seed: self._sampler.source_of(job.spec.of_seeds(seed)) for seed in job.spec.seeds}
        found = {seed: find(digest) for seed, digest in digests.items()}
        return {seed: trajectory for seed, trajectory in found.items() if trajectory is not None}

    def _edited_photo(self, job: Job, find: FindSource, fetch: FetchImage) -> Iterator[Event]:
        photo, seed = photo_of(job.spec, fetch), job.spec.seeds[0]
        self._judge.judge_pictures(job, (photo.whole,), seed)
        masks = masks_of(job.spec, photo, fetch)
        inverted = yield from inverted_photo(job.spec, photo, self._sampler, find)
        yield from self._edited(job, {seed: inverted.trajectory}, masks, inverted)

    def _edited(
        self,
        job: Job,
        kept: Mapping[int, Trajectory],
        masks: Masks,
        photo: InvertedPhoto | None = None,
    ) -> Iterator[Event]:
        before, previews = 0 if photo is None else photo.steps, job.spec.artifacts.previews
        for outcome in self._steps(job, kept, masks, photo):
            if isinstance(outcome, DenoisingStep):
                step = replace(outcome, index=before + outcome.index, num_steps=before + outcome.num_steps)
                yield Progress(step=step.index + 1, steps=step.num_steps)
                if outcome.clean and outcome.index + 1 in preview_steps(previews, outcome.num_steps):
                    yield from self._previewed(job, step)
                continue
            for result in outcome:
                self._judge.judge_pictures(job, result.images, result.seed)
            yield from artifacts_of(
                outcome,
                job,
                self._declaration,
                revision=self._revision,
                kept=kept.keys(),
                photo=photo,
                bounds=masks.bounds,
            )
        yield Finished()

    def _previewed(self, job: Job, step: DenoisingStep) -> Iterator[PreviewReady]:
        """What a step foretells; nothing if it cannot be shown, which is no reason to fail."""
        try:
            pictures = self._sampler.preview(step)
        except torch.AcceleratorError:
            raise
        except NotFinite as reason:
            # What a run is heading for may be beyond the precision early on, where most of it is noise still.
            log.info("job %s: no preview of step %d: %s", job.id, step.index + 1, reason)
            return
        except Exception:
            log.warning("job %s: no preview of step %d", job.id, step.index + 1, exc_info=True)
            return
        judged = partial(self._judged, job, pictures)
        yield PreviewReady(step=step.index + 1, steps=step.num_steps, judged=judged)

    def _judged(self, job: Job, pictures: Sequence[Image.Image]) -> bytes | None:
        return sheet(pictures) if self._judge.allows_preview(job, pictures) else None

    def _steps(
        self,
        job: Job,
        kept: Mapping[int, Trajectory],
        masks: Masks,
        photo: InvertedPhoto | None,
    ) -> Iterator[DenoisingStep | tuple[EditResult, ...]]:
        """The steps of a job; where its runs do not fit into memory, once more in smaller ones."""
        if photo is not None and not job.spec.targets:
            yield (self._sampler.source_alone(job.spec, photo.trajectory, photo.fidelity.reconstruction),)
            return
        *larger, smallest = ways(job.spec, kept)
        for runs in larger:
            try:
                yield from run_all(self._sampler, runs, job.spec.seeds, masks.seen)
                return
            except (MemoryError, torch.OutOfMemoryError):
                log.warning("job %s: %d runs do not fit into memory", job.id, len(runs), exc_info=True)
            # Outside the handler: what the exception holds on to is free by now.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        yield from run_all(self._sampler, smallest, job.spec.seeds, masks.seen)
