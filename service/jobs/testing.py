"""In-memory twins of the job plane, shipped with it: what unit tests use in place of Redis, RQ and a directory."""

from collections.abc import Callable
from datetime import timedelta

from obstore.store import MemoryStore

from service.jobs.errors import IllegalTransition, JobNotFound, QueueUnavailable
from service.jobs.model import Job, JobStatus, sources_of
from service.jobs.storage import ObstoreStorage
from service.jobs.store import decode, encode


class InMemoryJobStore:
    """`JobStore` over a dictionary of encoded records, so that what Redis would not keep is not kept here either."""

    def __init__(self) -> None:
        self._records: dict[str, dict[str, str]] = {}

    def create(self, job: Job) -> None:
        self._records[job.id] = encode({name: getattr(job, name) for name in Job.model_fields})

    def get(self, job_id: str) -> Job:
        if job_id not in self._records:
            raise JobNotFound(job_id)
        return decode(self._records[job_id])

    def transition(
        self,
        job_id: str,
        to: JobStatus,
        *,
        holder: str | None = None,
        only_from: JobStatus | None = None,
        **changes: object,
    ) -> Job:
        return self._change(job_id, to, sources_of(to, only_from), holder, {**changes, "status": to})

    def update(self, job_id: str, *, holder: str, **changes: object) -> Job:
        return self._change(job_id, JobStatus.RUNNING, frozenset({JobStatus.RUNNING}), holder, changes)

    def remove(self, job_id: str) -> None:
        self._records.pop(job_id, None)

    def _change(
        self,
        job_id: str,
        to: JobStatus,
        allowed: frozenset[JobStatus],
        holder: str | None,
        changes: dict[str, object],
    ) -> Job:
        job = self.get(job_id)
        if job.status not in allowed or holder not in (None, job.execution):
            raise IllegalTransition(job_id, job.status, to)
        self._records[job_id] |= encode(changes)
        return self.get(job_id)


class AsyncInMemoryJobStore:
    """`AsyncJobStore` over the same records as an `InMemoryJobStore`."""

    def __init__(self, store: InMemoryJobStore) -> None:
        self._store = store

    async def create(self, job: Job) -> None:
        self._store.create(job)

    async def get(self, job_id: str) -> Job:
        return self._store.get(job_id)

    async def transition(
        self,
        job_id: str,
        to: JobStatus,
        *,
        holder: str | None = None,
        only_from: JobStatus | None = None,
        **changes: object,
    ) -> Job:
        return self._store.transition(job_id, to, holder=holder, only_from=only_from, **changes)

    async def remove(self, job_id: str) -> None:
        self._store.remove(job_id)

    async def ping(self) -> None:
        return None


class InMemoryKeptSources:
    """`KeptSources` over a dictionary, without any end of a lifetime."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], str] = {}

    def remember(self, owner: str, source: str, artifact_key: str, lifetime: timedelta) -> None:
        self.keys[owner, source] = artifact_key

    def find(self, owner: str, source: str) -> str | None:
        return self.keys.get((owner, source))


class RecordingQueue:
    """`JobQueue` that remembers what it was given, in order."""

    def __init__(self, num_workers: int = 1) -> None:
        self.job_ids: list[str] = []
        self._num_workers = num_workers

    def enqueue(self, job: Job) -> None:
        self.job_ids.append(job.id)

    def discard(self, job: Job) -> None:
        if job.id in self.job_ids:
            self.job_ids.remove(job.id)

    def num_workers(self, model: str) -> int:
        return self._num_workers


class ImmediateQueue(RecordingQueue):
    """`JobQueue` that works a job off before `enqueue` returns."""

    def __init__(self, run: Callable[[str], None]) -> None:
        super().__init__()
        self._run = run

    def enqueue(self, job: Job) -> None:
        self._run(job.id)


class BrokenQueue(RecordingQueue):
    """`JobQueue` that takes nothing."""

    def enqueue(self, job: Job) -> None:
        raise QueueUnavailable


class MemoryStorage(ObstoreStorage):
    """`ObjectStorage` in memory: the same class over another store."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())
