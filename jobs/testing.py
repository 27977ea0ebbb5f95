"""In-memory twins of the job plane, shipped with it: what unit tests use in place of Redis, RQ and a directory."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import obstore
from obstore.store import MemoryStore

from jobs.admission import Admission, Admitted
from jobs.batches import BatchStanding
from jobs.errors import BatchNotFound, IllegalTransition, JobNotFound, NameReused, StillActive
from jobs.follow.feed import News, Subscription
from jobs.inversions import KeptInversion, inversion_key
from jobs.model import Job, JobProgress, JobStatus
from jobs.moves import Move
from jobs.redis.record import decode, encode, plain
from jobs.redis.store import Begun, Owned, Place, Watch
from jobs.storage import ObstoreStorage


class InMemoryJobStore:
    """`JobStore` over a dictionary of encoded records, so that what Redis would not keep is not kept here either.

    Attributes:
        leases: of running jobs, until when they are their worker's, by the clock.
        litter: what is to be removed from the storage, and when.
        outbox: subjects and states of jobs and batches in the order in which they ended.
        batches, ended_in: by id, each batch and the states in which its jobs ended.
        told: by job, its events.
        followed: jobs whose events a client reads as they come.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._records: dict[str, dict[str, str]] = {}
        self._clock = clock
        self.leases: dict[str, float] = {}
        self.litter: dict[str, datetime] = {}
        self.outbox: list[tuple[str, str]] = []
        self.batches: dict[str, BatchStanding] = {}
        self.ended_in: dict[str, dict[str, JobStatus]] = {}
        self.told: dict[str, list[str]] = {}
        self.followed: set[str] = set()

    def all(self) -> list[Job]:
        """Every job."""
        # Copies, made at once: other threads change the records meanwhile.
        return [decode(dict(record)) for record in list(self._records.values())]

    def create(self, job: Job) -> None:
        self.told[job.id] = ["queued"]
        self._records[job.id] = encode({name: getattr(job, name) for name in Job.model_fields})

    def get(self, job_id: str) -> Job:
        if job_id not in self._records:
            raise JobNotFound(job_id)
        return decode(self._records[job_id])

    def look(self, job_id: str) -> Mapping[str, Any]:
        """The record as plain data."""
        if job_id not in self._records:
            raise JobNotFound(job_id)
        return plain(self._records[job_id])

    def make(self, move: Move) -> Job:
        job = self.get(move.job_id)
        lapsed = not move.lapsed or self.leases.get(job.id, 0) <= self._clock()
        if job.status is not move.from_ or move.holder not in (None, job.execution) or not lapsed:
            raise IllegalTransition(job.id, job.status, move.to)
        if move.once is not None and getattr(job, move.once) == move.changes[move.once]:
            return job
        if move.progress is not None and _is_as_far(job.progress, move.progress):
            return job
        changes = {
            **move.changes,
            "status": move.to,
            "attempt": job.attempt + move.attempts,
            "revision": job.revision + 1,
        }
        self._records[job.id] |= encode(changes)
        if move.to is not move.from_:
            self.leases.pop(job.id, None)
        if move.lease is not None:
            self.leases[job.id] = self._clock() + move.lease.total_seconds()
        if move.to.is_terminal:
            self.outbox.append((job.id, move.to))
            if job.batch in self.batches:
                self._count_down(self.batches[job.batch], job.id, move)
        if move.event:
            self.told[job.id].append(move.event)
        self.litter.update(move.litter)
        return self.get(job.id)

    def _count_down(self, standing: BatchStanding, job_id: str, move: Move) -> None:
        ended = {**self.ended_in[standing.batch.id], job_id: move.to}
        self.ended_in[standing.batch.id] = ended
        if len(ended) == len(standing.batch.edits):
            expires_at = cast(datetime, move.changes["expires_at"])
            self.batches[standing.batch.id] = replace(standing, finished_at=datetime.now(UTC), expires_at=expires_at)
            self.outbox.append((standing.batch.subject, "ended"))

    def end(self, move: Move) -> None:
        self.make(move)

    def begin(self, move: Move) -> Begun:
        return Begun(self.make(move), move.job_id in self.followed)

    def renew(self, job: Job, lease: timedelta) -> bool:
        found = self.get(job.id)
        if found.status is not JobStatus.RUNNING or found.execution != job.execution:
            return False
        self.leases[job.id] = self._clock() + lease.total_seconds()
        return True

    def renew_all(self, jobs: Sequence[Job], lease: timedelta, reports: Sequence[Move] = ()) -> Sequence[bool]:
        answers = [self.renew(job, lease) for job in jobs]
        for report in reports:
            with suppress(IllegalTransition, JobNotFound):
                self.make(report)
        return answers

    def watch(self, job_id: str) -> Watch:
        job = self.get(job_id)
        return Watch(job.execution, job.cancel_requested, job_id in self.followed)

    def forget(self, job_id: str) -> None:
        """Drop the record, if there is one."""
        self._records.pop(job_id, None)


def _is_as_far(before: JobProgress | None, now: JobProgress) -> bool:
    return before is not None and before.steps == now.steps and before.step >= now.step


class AsyncInMemoryJobStore:
    """`AsyncJobStore` over the same records as an `InMemoryJobStore`."""

    def __init__(self, store: InMemoryJobStore) -> None:
        self._store = store
        self._named: dict[tuple[str, str | None], tuple[str, Admitted]] = {}

    async def admit(self, admission: Admission) -> Admitted:
        """Without limits: those are Redis's to count."""
        name = admission.jobs[0].owner, admission.name
        if admission.name is not None and name in self._named and self._is_there(self._named[name][1]):
            fingerprint, admitted = self._named[name]
            if fingerprint != admission.fingerprint:
                raise NameReused
            return replace(admitted, replayed=True)
        for job in admission.jobs:
            self._store.create(job)
        batch = admission.batch
        if batch is not None:
            self._store.batches[batch.id] = BatchStanding(batch=batch, statuses={})
            self._store.ended_in[batch.id] = {}
        self._named[name] = (
            admission.fingerprint,
            Admitted([job.id for job in admission.jobs], batch_id=batch.id if batch else None),
        )
        return self._named[name][1]

    def _is_there(self, admitted: Admitted) -> bool:
        """What was erased since, a name does not stand for any more."""
        if admitted.batch_id is not None:
            return admitted.batch_id in self._store.batches
        return any(job.id == admitted.job_ids[0] for job in self._store.all())

    async def named(self, owner: str, name: str) -> str | None:
        return self._named[owner, name][1].job_ids[0] if (owner, name) in self._named else None

    async def place(self, job_id: str, model: str, message: str | None) -> Place:
        turn = self._store.get(job_id).turn
        waiting = [each for each in self._store.all() if each.status is JobStatus.QUEUED and each.turn < turn]
        return Place(len(waiting), None)

    async def owned(self, owner: str, before: tuple[float, str] | None, count: int) -> Sequence[Owned]:
        mine = [
            ((int(job.created_at.timestamp() * 1000), job.id), job) for job in self._store.all() if job.owner == owner
        ]
        mine.sort(key=lambda each: each[0], reverse=True)
        return [Owned(at, job) for at, job in mine if before is None or at < before][:count]

    async def get(self, job_id: str) -> Job:
        return self._store.get(job_id)

    async def look(self, job_id: str) -> Mapping[str, Any]:
        return self._store.look(job_id)

    async def make(self, move: Move) -> Job:
        return self._store.make(move)

    async def confirm(self) -> None:
        """There are no replicas."""

    async def erase(self, job: Job) -> None:
        if not self._store.get(job.id).status.is_terminal:
            raise StillActive(job.status)
        self._store.forget(job.id)

    async def ping(self) -> None:
        return None


class InMemoryBatches:
    """`Batches` over the same records as an `InMemoryJobStore`."""

    def __init__(self, store: InMemoryJobStore) -> None:
        self._store = store

    async def get(self, batch_id: str) -> BatchStanding:
        if batch_id not in self._store.batches:
            raise BatchNotFound(batch_id)
        standing, ended = self._store.batches[batch_id], self._store.ended_in[batch_id]
        statuses = {edit: ended.get(edit) or self._store.get(edit).status for edit in standing.batch.edits}
        return replace(standing, statuses=statuses)


class InMemoryFeed:
    """`Feed` over the same records as an `InMemoryJobStore`: streams of jobs can be read, and nothing is heard."""

    def __init__(self, store: InMemoryJobStore) -> None:
        self._store = store

    async def read(
        self, after: Mapping[str, str], followed: Collection[str] = ()
    ) -> Mapping[str, Sequence[tuple[str, str]] | None]:
        self._store.followed.update(key.split(":")[1] for key in followed)
        return {key: self._told(key, int(event_id.split("-")[0])) for key, event_id in after.items()}

    def _told(self, key: str, after: int) -> Sequence[tuple[str, str]] | None:
        told = self._store.told.get(key.split(":")[1])
        if told is None:
            return None
        return [(f"{number}-0", event) for number, event in enumerate(told, 1) if number > after]

    @asynccontextmanager
    async def subscription(self) -> AsyncIterator[Subscription]:
        yield _Silence()


class _Silence:
    """`Subscription` that confirms what is joined, and hears nothing else."""

    def __init__(self) -> None:
        self._confirmed: asyncio.Queue[str] = asyncio.Queue()

    async def change(self, joined: Collection[str], left: Collection[str]) -> None:
        for key in joined:
            self._confirmed.put_nowait(key)

    async def news(self) -> AsyncIterator[News]:
        while True:
            yield News(await self._confirmed.get())


class InMemoryKeptSources:
    """`KeptSources` over a dictionary, without any end of a lifetime."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], str] = {}
        self.inversions: list[KeptInversion] = []

    def remember(self, owner: str, source: str, artifact_key: str, lifetime: timedelta) -> None:
        self.keys[owner, source] = artifact_key

    def keep(self, inversion: KeptInversion) -> bool:
        self.inversions.append(inversion)
        self.keys[inversion.owner, inversion.source] = inversion_key(inversion.id)
        return True

    def find(self, owner: str, source: str) -> str | None:
        return self.keys.get((owner, source))


class RecordingQueue:
    """`JobQueue` that remembers which messages were sent anew, in order."""

    def __init__(self, num_workers: int = 1) -> None:
        self.job_ids: list[str] = []
        self._num_workers = num_workers

    def deliver(self, job_id: str, model: str, *, last: bool = False, lost: bool = False) -> bool:
        self.job_ids.append(job_id)
        return True

    def discard(self, job: Job) -> None:
        if job.id in self.job_ids:
            self.job_ids.remove(job.id)

    def num_workers(self, model: str) -> int:
        return self._num_workers


class MemoryStorage(ObstoreStorage):
    """`ObjectStorage` in memory: the same class over another store."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())

    def places(self) -> set[tuple[str, str]]:
        """The jobs and executions that have left something."""
        found = [item["path"] for batch in obstore.list(self._store) for item in batch]
        return {(path.split("/")[1], path.split("/")[2]) for path in found if path.startswith("jobs/")}
