"""What a worker's process works off the jobs of a model with."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from jobs.catalogue import ModelPatience
from jobs.redis.head import Head
from jobs.redis.queue import JobQueue
from jobs.redis.sources import KeptSources
from jobs.redis.store import JobStore
from jobs.storage import ObjectStorage
from worker.drain import Drain
from worker.engine import Engine
from worker.lease import Leases, end_process
from worker.reserving import Reserving


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What this process works off jobs with.

    Attributes:
        head: of the model's order, from which jobs join those that run; None if none does.
        may_join: whether a job of this model may join now, or another model is due.
        took: notes that a job of this model was taken.
        record_of: gives a job's record where it has just been read, with the job's message.
        reserving: remembers which jobs were passed over, from one cohort to the next.
    """

    model: str
    engine: Engine
    store: JobStore
    queue: JobQueue
    storage: ObjectStorage
    sources: KeptSources
    patience: ModelPatience
    drain: Drain
    lease: timedelta = timedelta(seconds=10)
    alive: Callable[[], None] = lambda: None
    give_up: Callable[[], None] = end_process
    pause: Callable[[float], None] = field(default=time.sleep)
    head: Head | None = None
    may_join: Callable[[], bool] = lambda: True
    took: Callable[[], None] = lambda: None
    record_of: Callable[[str], Mapping[str, str] | None] = lambda _: None
    reserving: Reserving = field(default_factory=Reserving)

    def leases(self) -> Leases:
        """Those of the jobs that are worked off now."""
        return Leases(self.store, length=self.lease, alive=self.alive, give_up=self.give_up)
