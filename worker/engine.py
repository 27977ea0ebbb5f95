"""Runs a job on the resident model and says what happens: `p2p` in, events out.

Knows neither Redis nor the storage, and lets no exception out: whatever goes wrong inside a job is that job's
`Failed`, and the next one finds the worker as it was.
"""

import gc
import logging
import time
from collections.abc import Callable, Generator, Iterator

import torch

from jobs.catalogue import ModelDeclaration
from jobs.model import Job
from p2p.edit import EditResult
from p2p.errors import NotFinite, P2PError
from p2p.previews import preview_steps
from p2p.sampling import DenoisingStep
from p2p.stepping import made_of
from p2p.trajectory import Trajectory
from worker.edited import Edited, FindSource, edited_by
from worker.events import Drawn, Event, Failed, Finished, PreviewReady, Progress, Started, Waiting
from worker.marking import UNSIGNED, Marking
from worker.moderation import NOBODY, Judge, NotAllowed
from worker.photo import FetchImage, NoPhoto, no_images
from worker.results import artifacts_of
from worker.runs import run_all, ways
from worker.runs_in_cohort import Stepped
from worker.sampler import Sampler
from worker.sharing import Sharing
from worker.usage import Meter, Share
from worker.watermark import NotMarked

log = logging.getLogger(__name__)


def nothing_kept(source: str) -> Trajectory | None:
    """`FindSource` where no source is kept."""
    return None


def no_room() -> bool:
    """Where a model is alone in memory, none can leave for it."""
    return False


class DeviceLost(Exception):
    """The GPU has failed: nothing in this process can use it any more (a CUDA error other than its memory's)."""


class Engine:
    """One model, ready to edit.

    Args:
        make_room: has other models leave memory that are not used now; says whether any did.
        share: makes the model one that several jobs share; None if it cannot be shared.

    Attributes:
        judge: of prompts, pictures and previews.
        marking: of pictures, as a machine's.
    """

    def __init__(
        self,
        sampler: Sampler,
        declaration: ModelDeclaration,
        *,
        revision: str,
        judge: Judge = NOBODY,
        marking: Marking = UNSIGNED,
        make_room: Callable[[], bool] = no_room,
        share: Callable[[], Sharing] | None = None,
    ) -> None:
        self._make_room = make_room
        self._sampler = sampler
        self._declaration = declaration
        self._revision = revision
        self.judge = judge
        self.marking = marking
        self.share = share
        self.max_rows = None if share is None else declaration.max_rows

    def among(self, sharing: Sharing) -> "Engine":
        """This engine for jobs that share the model: their events say when they wait for a turn."""
        return Engine(
            sharing.sampler,
            self._declaration,
            revision=self._revision,
            judge=self.judge,
            marking=self.marking,
            make_room=self._make_room,
        )

    def run(
        self,
        job: Job,
        find: FindSource = nothing_kept,
        fetch: FetchImage = no_images,
        *,
        meter: Meter | None = None,
    ) -> Iterator[Event]:
        """The events of one job, in order; the last is `Finished` or `Failed`.

        Between any two of them the caller may stop iterating: that is where a cancellation or a deadline acts. After
        `Drawn`, another thread may go on.

        Args:
            meter: adds up what the job takes.
        """
        meter = meter or Meter(job.spec)
        yield Started()
        try:
            self.judge.judge_prompts(job)
            edited = yield from _metered(edited_by(job, self._sampler, self.judge, find, fetch), meter)
            results = yield from self._made(edited, meter)
            yield Drawn()
            for result in results:
                self.judge.judge_pictures(job, result.images, result.seed)
            yield from artifacts_of(
                results,
                edited,
                self._declaration,
                revision=self._revision,
                turns=meter.turns,
                marking=self.marking,
            )
            yield Finished()
        except (NotAllowed, NoPhoto, NotMarked) as refusal:
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

    def _made(self, edited: Edited, meter: Meter) -> Generator[Event, None, tuple[EditResult, ...]]:
        """The progress and the previews of a job's runs, and their results."""
        before = 0 if edited.photo is None else edited.photo.steps
        asked = edited.job.spec.artifacts.previews

        def events(step: Stepped) -> Iterator[Event]:
            if isinstance(step, Share):
                return meter.took_part(step)
            if isinstance(step, Waiting):
                yield step
                return
            done = before + step.index + 1 + step.finished
            steps = before + step.num_steps + step.finishing
            yield Progress(step=done, steps=steps)
            shown = preview_steps(asked, step.num_steps, then_larger=step.finishing > 0)
            if step.clean and not step.finished and step.index + 1 in shown:
                yield from self._previewed(edited.job, step, done, steps)

        return (yield from made_of(self._steps(edited), events))

    def _previewed(self, job: Job, step: DenoisingStep, done: int, steps: int) -> Iterator[PreviewReady]:
        """What a step foretells; nothing if it cannot be shown, which is no reason to fail."""
        try:
            pictures = self._sampler.preview(step)
        except torch.AcceleratorError:
            raise
        except NotFinite as reason:
            # What a run is heading for may be beyond the precision early on, where most of it is noise still.
            log.info("job %s: no preview of step %d: %s", job.id, done, reason)
            return
        except Exception:
            log.warning("job %s: no preview of step %d", job.id, done, exc_info=True)
            return
        yield PreviewReady(step=done, steps=steps, pictures=tuple(pictures))

    def _steps(self, edited: Edited) -> Generator[Stepped, None, tuple[EditResult, ...]]:
        """The steps of a job; where its runs do not fit into memory, once more in smaller ones."""
        job, photo = edited.job, edited.photo
        if photo is not None and not job.spec.targets:
            return (self._sampler.source_alone(job.spec, photo.trajectory, photo.fidelity.reconstruction),)
        to_try = list(ways(job.spec, edited.kept))
        while True:
            runs = to_try[0]
            try:
                return (yield from run_all(self._sampler, runs, job.spec.seeds, edited.masks.seen))
            except (MemoryError, torch.OutOfMemoryError):
                log.warning("job %s: %d runs do not fit into memory", job.id, len(runs), exc_info=True)
                # Rather than in smaller runs it goes on without the other models, as in a worker of this one alone.
                if not self._make_room():
                    if len(to_try) == 1:
                        raise
                    del to_try[0]
            # Outside the handler: what the exception holds on to is free by now.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _metered(events: Generator[Event, None, Edited], meter: Meter) -> Generator[Event, None, Edited]:
    """The events of finding what is edited; the steps of an inversion are noted."""
    asked = time.perf_counter()

    def noted(event: Event) -> Iterator[Event]:
        nonlocal asked
        if isinstance(event, Progress):
            meter.inverted(time.perf_counter() - asked)
        yield event
        asked = time.perf_counter()

    return made_of(events, noted)
