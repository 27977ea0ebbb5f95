"""What is asked of the store when edits are posted: all of it is taken in one turn of Redis, or nothing is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from jobs.batches import Batch
from jobs.model import Job
from jobs.quotas import Left, Quota

#: Targets that are written down at once: 0.2 ms each where they name many words.
MANY_TARGETS = 16


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an owner may post, and what a model's queue holds.

    Attributes:
        per_minute: jobs an owner may post a minute, in the long run; None for any number.
        burst: jobs an owner may post at once after a while without any.
        active: jobs of an owner that may wait and run at a time, both together; None for any number.
        waiting: jobs of an owner that may wait, those that run apart; None for any number.
        weight: of the owner's share of each model's workers; a job moves its virtual time on by the work over this.
        backlog: jobs of a model that may wait; None for any number.
        quota: what an owner may use in a day; None for any amount.
    """

    per_minute: float | None = None
    burst: int = 1
    active: int | None = None
    waiting: int | None = None
    weight: float = 1.0
    backlog: int | None = None
    quota: Quota | None = None


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Jobs of one owner to be accepted together.

    Attributes:
        jobs: at least one.
        name: what the owner calls this request, if anything: the same name and fingerprint again mean the same jobs.
        fingerprint: of all that the request asks for.
        batch: what the jobs are of; the name then stands for it.
        longest: how long a record of any of the owner's jobs may be there, beside its run.
    """

    jobs: Sequence[Job]
    limits: Limits = field(default_factory=Limits)
    name: str | None = None
    fingerprint: str = ""
    batch: Batch | None = None
    longest: timedelta = timedelta()

    @property
    def is_large(self) -> bool:
        """Whether it takes long to write down: its specs are written whole, with all their defaults, and packed."""
        return sum(len(job.spec.targets) for job in self.jobs) > MANY_TARGETS


@dataclass(frozen=True)
class Admitted:
    """The jobs that now stand for a request, or their batch; `replayed` where they did before.

    Attributes:
        left: of the owner's limits.
    """

    job_ids: Sequence[str]
    replayed: bool = False
    batch_id: str | None = None
    left: Sequence[Left] = ()
