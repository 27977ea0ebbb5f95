"""Folds the events of one execution into the job's record and the storage: the only writer of both.

A result is in the record only once it is in the storage, and the record says `succeeded` only once all are.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from jobs import moves
from jobs.errors import IllegalTransition, StorageUnavailable
from jobs.inversions import KeptInversion, inversion_key
from jobs.model import (
    Artifact,
    Job,
    JobError,
    JobProgress,
    JobStatus,
    Reconstruction,
    artifact_key,
    execution_prefix,
)
from jobs.moves import Move
from jobs.redis.sources import KeptSources
from jobs.redis.store import JobStore
from jobs.storage import ObjectStorage
from jobs.usage import JobUsage
from p2p.spec import Direct
from process.cell import cell_of, in_cell
from process.metrics import GPU_SECONDS
from worker.events import (
    ArtifactReady,
    Canceled,
    Drawn,
    Event,
    Failed,
    Finished,
    HandedBack,
    Inverted,
    PreviewReady,
    Progress,
    Reconstructed,
    Started,
    Waiting,
)
from worker.marking import UNSIGNED, Marking
from worker.moderation import NOBODY, Judge
from worker.previews import Previews
from worker.usage import Meter, Usage

log = logging.getLogger(__name__)

#: Seconds between two looks at the record: whether the job is still wanted and whether it is followed. A look costs
#: Redis a twentieth of what a whole job does, so that more of them would be most of what a short job costs. A job that
#: is followed is looked at more often, and at its last step: finer than anyone watches.
LOOK_INTERVAL, FOLLOWED_INTERVAL = 1.0, 0.25


class Publisher:
    """Writes what happens to one job, as one execution of it.

    Every write names the execution. One that has lost the job, or whose job was canceled in time, gets
    `IllegalTransition` from its first write on and changes nothing; what it stored is then its to `discard`.

    Args:
        beside: whether the job is begun beside others, from its place in the order; then its message is still there.
        meter: adds up what the execution takes.

    Attributes:
        job: as this execution begins it.
        is_unwanted: whether the client has asked to have it canceled, when that was last looked at.
    """

    def __init__(
        self,
        job: Job,
        store: JobStore,
        storage: ObjectStorage,
        sources: KeptSources,
        *,
        lease: timedelta = timedelta(seconds=10),
        judge: Judge = NOBODY,
        marking: Marking = UNSIGNED,
        beside: bool = False,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # What the engine sees: the job as this execution will have begun it.
        self.job = job.model_copy(update={"execution": uuid4().hex, "attempt": job.attempt + 1})
        self._queued, self._lease, self._beside = job, lease, beside
        self._meter = meter or Meter(job.spec)
        self._store = store
        self._storage = storage
        self._clock = clock
        self._look_at, self._is_followed = float("-inf"), False
        self._reached: JobProgress | None = None
        self.is_unwanted = False
        self._artifacts: list[Artifact] = []
        self._sources = sources
        self._previews = Previews(self.job, store, storage, judge, marking.watermarks)
        self._reconstruction: Reconstruction | None = None
        self._kept: list[tuple[str, str]] = []  # digest and key of trajectories

    @property
    def usage(self) -> Usage:
        """What this execution has taken of the device so far."""
        return self._meter.usage

    def handle(self, event: Event) -> None:
        """Write one event down.

        Raises:
            IllegalTransition: the job is no longer this execution's.
            StorageUnavailable: an artifact was not taken.
        """
        if event.ends_previews:
            self._previews.end()  # the pictures themselves are there, or nothing is to be shown any more
        WRITTEN[type(event)](self, event)
        if event.said:
            log.info(event.said.format(**vars(event)))

    def discard(self) -> None:
        """Remove what this execution stored: nobody will read it. What cannot be removed now, the reaper removes."""
        self._previews.end()
        with suppress(StorageUnavailable):
            self._storage.remove_all(execution_prefix(self.job.id, self.job.execution or ""))

    def report(self) -> Move | None:
        """The move that writes down how far the run is; None before its first step.

        It is made with each renewal of the lease and, while somebody follows the job, with each look.
        """
        reached = self._reached
        return None if reached is None else self._charged(moves.report(self.job, reached), self.usage)

    def _charged(self, move: Move, now: Usage) -> Move:
        """A move of a running job, with what it has used by now."""
        if not now.steps:
            return move
        stored = sum(each.bytes for each in self._artifacts) if move.to is JobStatus.SUCCEEDED else 0
        return moves.charged(move, (self.job.usage or JobUsage()).and_then(**asdict(now), bytes_stored=stored))

    def _end(self, move: Move) -> None:
        now = self.usage
        if self._reached is not None and move.to.is_terminal:
            move = moves.reached(move, self._reached)
        self._store.end(self._charged(move, now))
        GPU_SECONDS.labels(self.job.model).inc(now.gpu_seconds)

    def _start(self, _: Started) -> None:
        assert self.job.execution
        begin = moves.begin(self._queued, self.job.execution, self._lease, beside=self._beside)
        self.job, self._is_followed = self._store.begin(begin)
        # Who follows the job from its beginning on reads its first step at once.
        self._look_at = self._clock() + (0 if self._is_followed else LOOK_INTERVAL)

    def _get_on(self, progress: Progress) -> None:
        now, is_last = self._clock(), progress.step == progress.steps
        self._reached = JobProgress(step=progress.step, steps=progress.steps)
        # After the last step it is too late to cancel, and the job's end says how far it came: only who reads each step
        # is to have that one, too.
        if not (self._is_followed if is_last else now >= self._look_at):
            return
        watched = self._store.watch(self.job.id)
        if watched.execution != self.job.execution:
            raise IllegalTransition(self.job.id, "another execution's", "worked on")
        self.is_unwanted = watched.cancel_requested
        if watched.is_followed and (report := self.report()) is not None:
            self._store.make(report)
        self._is_followed = watched.is_followed
        self._look_at = now + (FOLLOWED_INTERVAL if self._is_followed else LOOK_INTERVAL)

    def _show(self, preview: PreviewReady) -> None:
        self._previews.show(preview)

    def _note(self, reconstructed: Reconstructed) -> None:
        self._reconstruction = reconstructed.reconstruction

    def _finish(self, _: Finished) -> None:
        self._end(moves.finish(self.job, tuple(self._artifacts), self._reconstruction))
        for source, key in self._kept if self.job.store else ():
            self._sources.remember(self.job.owner, source, key, self.job.lifetime)

    def _fail(self, failed: Failed) -> None:
        self._end(moves.fail(self.job, JobError(code=failed.code, message=failed.message)))

    def _pass(self, _: Waiting | Drawn) -> None:
        """Nothing that a record says."""

    def _stop(self, _: Canceled) -> None:
        self._end(moves.stop(self.job))

    def _hand_back(self, _: HandedBack) -> None:
        self._end(moves.hand_back(self.job))

    def _keep_inversion(self, inverted: Inverted) -> None:
        """Kept at once: what has been found serves the next edit, whatever becomes of this one."""
        if not self.job.store:
            return
        spec, now = self.job.spec, datetime.now(UTC)
        inversion = KeptInversion(
            id=in_cell(cell_of(self.job.id) or "", uuid4().hex),
            owner=self.job.owner,
            source=inverted.source,
            image=(spec.source.image and spec.source.image.upload) or "",
            model=self.job.model,
            prompt=spec.source.prompt,
            method=(spec.inversion or Direct()).method,
            steps=spec.sampling.steps or 0,
            seed=spec.seeds[0],
            loras=spec.loras,
            reconstruction=inverted.reconstruction,
            unet_evaluations=inverted.unet_evaluations,
            bytes=len(inverted.data),
            labels=self.job.labels,
            created_at=now,
            expires_at=now + self.job.lifetime,
        )
        # The record first: with it stands when its place is cleared. Who looks meanwhile finds nothing, and inverts.
        if self._sources.keep(inversion):
            self._storage.put(inversion_key(inversion.id), inverted.data, "application/octet-stream")

    def _keep(self, ready: ArtifactReady) -> None:
        key = artifact_key(self.job.id, self.job.execution or "", ready.name)
        self._storage.put(key, ready.data, ready.content_type)
        if ready.source is not None:
            self._kept.append((ready.source, key))
        self._artifacts.append(
            Artifact(
                name=ready.name,
                kind=ready.kind,
                key=key,
                content_type=ready.content_type,
                bytes=len(ready.data),
                picture=ready.picture,
                word=ready.word,
                occurrence=ready.occurrence,
                seed=ready.seed,
            )
        )


#: How each kind of event is written down; a test holds the rows to `worker.events.Event`.
WRITTEN: Mapping[type[Event], Callable[[Publisher, Any], None]] = {
    Started: Publisher._start,
    Progress: Publisher._get_on,
    Waiting: Publisher._pass,
    Drawn: Publisher._pass,
    PreviewReady: Publisher._show,
    ArtifactReady: Publisher._keep,
    Inverted: Publisher._keep_inversion,
    Reconstructed: Publisher._note,
    Finished: Publisher._finish,
    Failed: Publisher._fail,
    Canceled: Publisher._stop,
    HandedBack: Publisher._hand_back,
}
