"""What the store's scripts (`jobs.redis.scripts`) are called with, and what their answers mean."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, cast

from pydantic_core import to_json

from jobs.admission import Admission, Admitted, Limits
from jobs.batches import Batch
from jobs.errors import (
    IllegalTransition,
    JobNotFound,
    NameReused,
    QueueFull,
    QuotaReached,
    RateLimited,
    TooManyActive,
    TooManyWaiting,
)
from jobs.fairness import work_of
from jobs.model import Job, JobStatus, Line
from jobs.moves import MARGIN, Move
from jobs.quotas import Left, Quota
from jobs.redis import keys
from jobs.redis.message import list_of, message_about
from jobs.redis.record import existing, pairs
from jobs.usage import USAGE_DAYS

#: Seconds after which one who has too many jobs under way may ask again: one of them may have ended by then.
ACTIVE_RETRY = 2.0
#: Seconds.
DAY = 86_400
#: What limits are called, where the day's totals call them otherwise.
_POLICIES = {"bytes_stored": "bytes"}


def admission_call(
    admission: Admission, usage_kept: timedelta = timedelta(days=USAGE_DAYS)
) -> tuple[Sequence[str], Sequence[Any]]:
    """Keys and arguments of `lua/admit.lua`; `usage_kept` is how long a day's totals are."""
    owner, limits = admission.jobs[0].owner, admission.limits
    names = [keys.named(owner, admission.name or ""), keys.active(owner), keys.bucket(owner), keys.owned(owner)]
    names += [keys.MODELS, keys.running(owner)]
    jobs = []
    for job in admission.jobs:
        message = message_about(job.id, job.model)
        line = Line(owner=owner, turn=job.turn, charge=work_of(job.spec) / limits.weight)
        kept = {**vars(job), "message": message.id, "line": line}
        names += [keys.record(job.id), keys.events(job.id), keys.waiting(job.model), keys.order(job.model)]
        names += [message.list, keys.leases(job.model), keys.pace(job.model)]
        jobs.append(
            {
                "id": job.id,
                "model": job.model,
                "created_at": instant(job.created_at),
                "expires_at": instant(job.expires_at),
                "start_by": instant(job.start_by),
                "message": message.id,
                "line": line,
                "fields": pairs(kept),
                "message_fields": message.fields,
            }
        )
        if job.of_subject is not None:
            jobs[-1]["subject"] = keys.subject(owner, job.of_subject)
    life = max(admission.longest, *(job.expires_at - job.created_at for job in admission.jobs))
    asked: dict[str, Any] = {
        "fingerprint": admission.fingerprint if admission.name is not None else None,
        "per_minute": limits.per_minute,
        "burst": limits.burst,
        "active": limits.active,
        "waiting": limits.waiting,
        "backlog": limits.backlog,
        "oldest": milliseconds(life + MARGIN + timedelta(days=1)),
        "batch": admission.batch and _batch_of(admission.batch),
        "jobs": jobs,
    }
    if limits.quota:
        asked |= {"quota": _of_quota(limits.quota, admission.jobs), "owner": owner}
        asked["usage_kept"] = milliseconds(usage_kept)
    # One argument: a client packs a hundred of them more slowly than Redis reads one text.
    return names, [to_json({name: value for name, value in asked.items() if value is not None})]


def _batch_of(batch: Batch) -> dict[str, str]:
    said = {"id": batch.id, "about": batch.model_dump_json()}
    if batch.labels is not None and batch.labels.subject is not None:
        said["subject"] = keys.subject(batch.owner, batch.labels.subject)
    return said


def _of_quota(quota: Quota, jobs: Sequence[Job]) -> list[tuple[str, float, int]]:
    """Each limit: the field of the day's totals, the most, and how much is added to it now."""
    pictures = sum(len(job.spec.prompts) * len(job.spec.seeds) for job in jobs)
    limits: list[tuple[str, float | None, int]] = [
        ("gpu_seconds", quota.gpu_seconds, 0),
        ("pictures", quota.pictures, pictures),
        ("bytes_stored", quota.bytes, 0),
    ]
    return [(name, most, more) for name, most, more in limits if most is not None]


def _left(limits: Limits, answer: Sequence[Any]) -> Sequence[Left]:
    """What is left of an owner's limits, by what the script says of each."""
    found = []
    for name, remaining, resets in zip(answer[::3], answer[1::3], answer[2::3], strict=True):
        if name == "edits":
            all_of_it, window = limits.burst, ceil(limits.burst / (limits.per_minute or 1) * 60)
        else:
            quota = limits.quota or Quota()
            all_of_it, window = int({**vars(quota), "bytes_stored": quota.bytes}[name]), DAY
        found.append(Left(_POLICIES.get(name, name), all_of_it, window, remaining, resets))
    return found


def admission_answer(admission: Admission, answer: Sequence[Any]) -> Admitted:
    """What became of it; raises `Refused` or `NameReused` where nothing did."""
    limits, job_ids = admission.limits, [job.id for job in admission.jobs]
    match answer:
        case ["admitted", *left]:
            batch_id = admission.batch.id if admission.batch else None
            return Admitted(job_ids, batch_id=batch_id, left=_left(limits, left) if left else ())
        case ["quota", name, used, after]:
            of_quota = _of_quota(limits.quota or Quota(), admission.jobs)
            most, wanted = {each: (most, more) for each, most, more in of_quota}[name]
            raise QuotaReached(_POLICIES.get(name, name), float(used), most, after / 1000, wanted=wanted)
        case ["replayed", before] if admission.batch:
            return Admitted((), replayed=True, batch_id=before)
        case ["replayed", before]:
            return Admitted(before.split(), replayed=True)
        case ["rate", after]:
            raise RateLimited(after / 1000)
        case ["active", active, running]:
            raise TooManyActive(active - running, running, limits.active or 0, ACTIVE_RETRY)
        case ["waiting", waiting]:
            raise TooManyWaiting(waiting, limits.waiting or 0, ACTIVE_RETRY)
        case ["full", index, waiting, after]:
            raise QueueFull(admission.jobs[index - 1].model, waiting, after / 1000)
    raise NameReused


def move_call(
    move: Move, usage_kept: timedelta = timedelta(days=USAGE_DAYS), *, silent: bool = False
) -> tuple[Sequence[str], Sequence[Any]]:
    """Keys and arguments of `lua/move.lua`.

    Args:
        usage_kept: how long a day's totals are.
        silent: whether nobody reads the job after it, and it is not answered.
    """
    names = [keys.record(move.job_id), keys.events(move.job_id), keys.waiting(move.model), keys.leases(move.model)]
    names += [keys.LITTER, keys.OUTBOX, keys.DEAD, keys.order(move.model), list_of(move.model)]
    names += [keys.active(move.owner), keys.pace(move.model), keys.running(move.owner)]
    message = message_about(move.job_id, move.model) if move.to is JobStatus.QUEUED else None
    changes: dict[str, object] = {**move.changes, "status": move.to}
    if message:
        changes["message"] = message.id
    fields = pairs(changes)
    asked: dict[str, object] = {
        "id": move.job_id,
        "owner": move.owner,
        "subject": None if move.subject is None else keys.subject(move.owner, move.subject),
        "usage_kept": milliseconds(usage_kept),
        "from": to_json(move.from_).decode(),
        "to": to_json(move.to).decode(),
        "ends": str(move.to) if move.to.is_terminal else None,
        "holder": None if move.holder is None else json.dumps(move.holder),
        "lapsed": move.lapsed,
        "beside": move.beside or None,
        "silent": silent or None,
        "attempts": move.attempts,
        "lease": None if move.lease is None else milliseconds(move.lease),
        "litter": [(prefix, instant(when)) for prefix, when in move.litter],
        "event": move.event,
        "dead": move.dead,
        "took": move.took,
        "progress": move.progress and [move.progress.step, move.progress.steps],
        "once": None if move.once is None else pairs({move.once: changes[move.once]}),
        "message": message and message.id,
        "fields": len(fields),
        **{name: instant(cast(datetime, changes[name])) for name in ("expires_at", "start_by") if name in changes},
    }
    # What is absent is nil to Lua; a JSON null would be a value of its own.
    told = json.dumps({name: value for name, value in asked.items() if value is not None})
    return names, [told, *fields, *(message.fields if message else ())]


def move_answer(move: Move, answer: tuple[int, list[str]] | None) -> Job:
    """The job after the move; raises `JobNotFound`, or `IllegalTransition` where nothing was changed."""
    if answer is None:
        raise JobNotFound(move.job_id)
    done, flat = answer
    job = existing(move.job_id, dict(zip(flat[::2], flat[1::2], strict=True)))
    # The execution that it names already: begun once before, when the answer was lost on its way.
    begun = move.lease is not None and job.execution == move.changes.get("execution")
    if not done and not begun:
        raise IllegalTransition(move.job_id, job.status, move.to)
    return job


def instant(moment: datetime) -> int:
    """Milliseconds since 1970, as Redis counts them."""
    return int(moment.timestamp() * 1000)


def milliseconds(span: timedelta) -> int:
    """A time span as Redis counts it."""
    return int(span.total_seconds() * 1000)
