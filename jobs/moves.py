"""What may happen to a job, as data: a function for each makes a `Move`, and `JobStore.make` does it or refuses it.

    begin       queued  -> running     a worker has taken it
    report      running -> running     so many steps are done
    show        running -> running     there is a preview
    ask_to_stop running -> running     the client wants it canceled
    finish      running -> succeeded
    fail        running -> failed
    stop        running -> canceled    its worker has seen that the client wants it
    hand_back   running -> queued      its worker ends; costs no attempt
    take_back   running -> queued      its lease has run out; failed after the last attempt, canceled where asked for
    cancel      queued  -> canceled
    expire      queued  -> expired     nobody began it in time

Everything but the last two, `ask_to_stop` and `begin` names the execution that may do it: the fencing token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from jobs.model import (
    ANYBODY,
    TRANSITIONS,
    Artifact,
    Job,
    JobError,
    JobProgress,
    JobStatus,
    Reconstruction,
    execution_prefix,
)
from jobs.usage import JobUsage

#: How long the artifacts of an execution that is over may still come in: of a worker that was stopped (SIGSTOP) in the
#: middle of storing one and goes on. They are removed at once, and once more after this.
LATE = timedelta(hours=2)
AGAIN = "#again"
#: Beyond its lifetime, how long a running job's record is kept: a bound for a service that nobody looks after.
MARGIN = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Move:
    """One change of one job: all of it in one turn of the store, or none of it.

    Attributes:
        to: the state after it.
        from_: the state before it.
        changes: fields of `Job` that are written.
        holder: the execution that the record must name; None if that does not matter.
        lapsed: whether the execution's lease must have run out.
        attempts: what is added to `attempt`.
        lease: how long the execution has the job from now on, unless it renews.
        litter: what lies in the object storage that is to be removed, and when.
        event: what followers get.
        dead: whether the job joins the dead letters.
        owner: whose job it is.
        subject: the end user that it is made for, where one is named.
        took: seconds from its begin to its end, where that says how fast its model's workers are.
        beside: whether a job that is begun takes its message out of the queue, because no worker has moved it.
        once: a field of `changes` that makes the move done already where the record has its value: for a move that
            leaves the state as it is, and is sent again where the answer was lost on its way.
        progress: makes the move done already where the record's progress is as far, of as many steps: two threads of
            a worker report the same run.
    """

    job_id: str
    model: str
    from_: JobStatus
    to: JobStatus
    changes: Mapping[str, object] = field(default_factory=dict)
    holder: str | None = None
    lapsed: bool = False
    attempts: int = 0
    lease: timedelta | None = None
    litter: tuple[tuple[str, datetime], ...] = ()
    event: str | None = None
    dead: bool = False
    owner: str = ANYBODY
    subject: str | None = None
    took: float | None = None
    beside: bool = False
    once: str | None = None
    progress: JobProgress | None = None

    def __post_init__(self) -> None:
        if self.to is not self.from_ and self.to not in TRANSITIONS[self.from_]:
            raise ValueError(f"no {self.from_} job becomes {self.to}")


def begin(job: Job, execution: str, lease: timedelta, *, beside: bool = False) -> Move:
    """A worker has taken the job up, as an execution of its own.

    Args:
        beside: whether it was found in the order of the queue, and not by its message.
    """
    now = datetime.now(UTC)
    expires_at = now + job.lifetime + MARGIN
    return Move(
        job_id=job.id,
        model=job.model,
        owner=job.owner,
        subject=job.of_subject,
        from_=JobStatus.QUEUED,
        to=JobStatus.RUNNING,
        changes={"execution": execution, "started_at": now, "progress": None, "expires_at": expires_at},
        attempts=1,
        lease=lease,
        beside=beside,
        litter=((execution_prefix(job.id, execution), expires_at),),
        event="started",
    )


def report(job: Job, progress: JobProgress) -> Move:
    """So many steps are done."""
    event = f"progress {progress.step}/{progress.steps}"
    return _running(job, changes={"progress": progress}, progress=progress, event=event)


def show(job: Job, step: int, steps: int, key: str) -> Move:
    """After so many steps there is a preview, and this is where it lies."""
    return _running(job, changes={"preview": key}, once="preview", event=f"preview {step}/{steps} {key}")


def ask_to_stop(job: Job) -> Move:
    """The client wants a running job canceled."""
    return Move(
        job_id=job.id,
        model=job.model,
        from_=JobStatus.RUNNING,
        to=JobStatus.RUNNING,
        changes={"cancel_requested": True},
    )


def finish(job: Job, artifacts: tuple[Artifact, ...], reconstruction: Reconstruction | None = None) -> Move:
    """Everything asked for is stored; from here on it can be read, until the record goes."""
    ended = _ended(job)
    prefix = execution_prefix(job.id, job.execution or "")
    return _running(
        job,
        took=(ended["finished_at"] - (job.started_at or ended["finished_at"])).total_seconds(),
        to=JobStatus.SUCCEEDED,
        changes={**ended, "artifacts": artifacts, **({"reconstruction": reconstruction} if reconstruction else {})},
        litter=((prefix, ended["expires_at"]),),
        event="succeeded",
    )


def fail(job: Job, error: JobError) -> Move:
    """The job cannot be finished."""
    return _running(job, to=JobStatus.FAILED, changes={**_ended(job), "error": error}, litter=_of(job), event="failed")


def stop(job: Job) -> Move:
    """The worker has stopped the job because its client asked for it."""
    return _running(job, to=JobStatus.CANCELED, changes=_ended(job), litter=_of(job), event="canceled")


def hand_back(job: Job) -> Move:
    """The worker gives the job back untouched: no attempt is spent."""
    changes = _queued_again(job)
    return _running(job, to=JobStatus.QUEUED, changes=changes, attempts=-1, litter=_of(job), event="queued")


def take_back(job: Job, *, max_attempts: int) -> Move:
    """The job's worker is lost: it is tried again, unless it has been tried often enough or is not wanted any more."""
    if job.cancel_requested:
        return _running(job, to=JobStatus.CANCELED, lapsed=True, changes=_ended(job), litter=_of(job), event="canceled")
    if job.attempt < max_attempts:
        changes = _queued_again(job)
        return _running(job, to=JobStatus.QUEUED, lapsed=True, changes=changes, litter=_of(job), event="retrying")
    error = JobError(
        code="worker_lost", message=f"its worker was lost {job.attempt} times: send it again, perhaps for less at once"
    )
    changes = {**_ended(job), "error": error}
    return _running(job, to=JobStatus.FAILED, lapsed=True, changes=changes, litter=_of(job), event="failed", dead=True)


def reached(move: Move, progress: JobProgress) -> Move:
    """The end of a job, with how far it came."""
    return replace(move, changes={**move.changes, "progress": progress})


def charged(move: Move, usage: JobUsage) -> Move:
    """The move, with what the job has used by then."""
    return replace(move, changes={**move.changes, "usage": usage})


def cancel(job: Job) -> Move:
    """The client does not want a queued job any more."""
    return _waiting(job, JobStatus.CANCELED)


def expire(job: Job) -> Move:
    """Nobody began the job in time."""
    return _waiting(job, JobStatus.EXPIRED)


def _running(job: Job, *, changes: Mapping[str, object], to: JobStatus = JobStatus.RUNNING, **more) -> Move:
    """A move of a running job by the execution that has it."""
    return Move(
        job_id=job.id,
        model=job.model,
        owner=job.owner,
        subject=job.of_subject,
        from_=JobStatus.RUNNING,
        to=to,
        holder=job.execution,
        changes=changes,
        **more,
    )


def _waiting(job: Job, to: JobStatus) -> Move:
    return Move(
        job_id=job.id,
        model=job.model,
        owner=job.owner,
        subject=job.of_subject,
        from_=JobStatus.QUEUED,
        to=to,
        changes=_ended(job),
        event=str(to),
    )


def _ended(job: Job) -> dict:
    now = datetime.now(UTC)
    return {"finished_at": now, "expires_at": now + job.lifetime}


def _queued_again(job: Job) -> dict:
    """It may wait as long again as it was given at first."""
    start_by = datetime.now(UTC) + job.queue_limit
    return {
        "execution": None,
        "started_at": None,
        "progress": None,
        "start_by": start_by,
        "expires_at": start_by + job.lifetime,
    }


def _of(job: Job) -> tuple[tuple[str, datetime], ...]:
    """What an execution that is over may have left: removed at once, and again when nothing can follow."""
    prefix, now = execution_prefix(job.id, job.execution or ""), datetime.now(UTC)
    return (prefix, now), (prefix + AGAIN, now + LATE)
