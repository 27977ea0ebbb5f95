"""Where job records are kept: one Redis hash per job, each field of `Job` as JSON; those that never change as one.

Rules.
1. Every change is a `Move` (`service.jobs.moves`), done by one script that looks and writes in one turn of Redis, so of
   two writers one loses.
2. A terminal state is written once: no move leads out of it. In the same turn it is put into the outbox.
3. A writer that names an execution writes only while the record names the same one.
4. A queued job stands in its model's `waiting`, a running one in its `leases`, in the same turn as its state: from
   these two the reaper (`service.reaper`) finds whatever was lost on the way. A job is queued together with its
   message, which stands in RQ's list where its turn is.
5. Every record has a lifetime, which no active job reaches: its key expires at `expires_at`.

The API reads and writes through `AsyncRedisJobStore`, workers through `RedisJobStore`; both send what the functions at
the end of this file make, and read the answers with them. Clients must be made with `decode_responses=True`.
"""

import json
import time
import zlib
from base64 import b85decode, b85encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, cast

import redis
import redis.asyncio
from pydantic_core import from_json, to_json

from service.jobs import keys, scripts
from service.jobs.admission import Admission, Admitted
from service.jobs.connection import refuse_eviction
from service.jobs.errors import (
    IllegalTransition,
    JobNotFound,
    NameReused,
    NewerRecord,
    QueueFull,
    RateLimited,
    StillActive,
    TooManyActive,
)
from service.jobs.message import list_of, message_about
from service.jobs.metrics import job_ended
from service.jobs.model import SCHEMA_VERSION, TRANSITIONS, Job, JobStatus, job_prefix
from service.jobs.moves import MARGIN, Move

#: Characters of a value from which on it is kept packed: a finished job's list of artifacts is, and a long spec.
PACKED_FROM = 400


#: Fields that are written once: together they take a third of what they would take apart.
FIXED = (
    "schema_version", "id", "owner", "model", "spec", "priority", "created_at", "queue_limit", "lifetime",
    "traceparent", "webhook",
)  # fmt: skip
#: Seconds after which one who has too many jobs under way may ask again: one of them may have ended by then.
ACTIVE_RETRY = 2.0
#: Milliseconds that one read of a job's events waits, and how many jobs of an owner may be of one millisecond.
EVENTS_TURN, SAME = 2000, 100
#: Seconds for which the API takes Redis's eviction policy for what it last was.
TRUSTED = 30


class Watch(NamedTuple):
    """What a worker looks at between two steps."""

    execution: str | None
    cancel_requested: bool


class Place(NamedTuple):
    """Where a waiting job stands.

    Attributes:
        ahead: how many go before it; None where it waits no more.
        seconds: how long that may take, by how long jobs took of late and how many run; None where nothing tells.
    """

    ahead: int | None
    seconds: float | None


class Owned(NamedTuple):
    """A job in its owner's list, and where it stands there."""

    at: tuple[float, str]
    job: Job | None


class JobStore(Protocol):
    """The truth about jobs, as a worker uses it."""

    def create(self, job: Job) -> None:
        """Keep a new record, and a message about it."""

    def get(self, job_id: str) -> Job:
        """The record; raises `JobNotFound`, `NewerRecord`."""

    def make(self, move: Move) -> Job:
        """Make a move and give the job after it, or raise `IllegalTransition` or `JobNotFound` and change nothing."""

    def renew(self, job: Job, lease: timedelta) -> bool:
        """Lengthen the lease of the execution that a job names to so long from now; False where it lost the job."""

    def watch(self, job_id: str) -> Watch:
        """Who has the job, and whether it is still wanted; raises `JobNotFound`."""


class AsyncJobStore(Protocol):
    """`JobStore` as the API uses it."""

    async def admit(self, admission: Admission) -> Admitted:
        """Accept jobs, all or none; raises `Refused` or `NameReused`."""

    async def get(self, job_id: str) -> Job: ...
    async def make(self, move: Move) -> Job: ...

    async def events(self, job_id: str, after: str, wait: float) -> Sequence[tuple[str, str]]:
        """What happened to a job after an event, ids and texts; waits a moment for it, never longer than asked."""

    async def place(self, job: Job) -> Place:
        """Where a waiting job stands."""

    async def owned(self, owner: str, before: tuple[float, str] | None, count: int) -> Sequence[Owned]:
        """An owner's jobs, the newest first, from the one after `before` on; None in place of what is over."""

    async def named(self, owner: str, name: str) -> str | None:
        """The first job that an owner's name for a request stands for."""

    async def erase(self, job: Job) -> None:
        """Forget a job that has ended, and have what it stored removed; raises `StillActive`, `JobNotFound`."""

    async def ping(self) -> None:
        """Raise a `redis.RedisError` where the store does not answer, `UnsafeRedis` where it may drop jobs."""


class RedisJobStore:
    """`JobStore` over a blocking Redis client."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._admit, self._move, self._renew = map(client.register_script, (scripts.ADMIT, scripts.MOVE, scripts.RENEW))

    def create(self, job: Job) -> None:
        admission = Admission(jobs=[job])
        _admitted(admission, self._admit(*_admission(admission)))

    def get(self, job_id: str) -> Job:
        return _found(job_id, cast(Mapping[str, str], self._client.hgetall(keys.record(job_id))))

    def make(self, move: Move) -> Job:
        return _counted(move, _moved(move, self._move(*_request(move))))

    def renew(self, job: Job, lease: timedelta) -> bool:
        names = [keys.record(job.id), keys.leases(job.model)]
        return bool(self._renew(names, [job.id, json.dumps(job.execution), _milliseconds(lease)]))

    def watch(self, job_id: str) -> Watch:
        fields = self._client.hmget(keys.record(job_id), "execution", "cancel_requested")
        execution, wanted = cast(list[str | None], fields)
        if wanted is None:
            raise JobNotFound(job_id)
        return Watch(json.loads(execution or "null"), json.loads(wanted))


class AsyncRedisJobStore:
    """`AsyncJobStore` over an asyncio Redis client."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._admit, self._move, self._erase = map(client.register_script, (scripts.ADMIT, scripts.MOVE, scripts.ERASE))
        self._safe_until = float("-inf")

    async def admit(self, admission: Admission) -> Admitted:
        if time.monotonic() > self._safe_until:
            await self.ping()
        return _admitted(admission, await self._admit(*_admission(admission)))

    async def get(self, job_id: str) -> Job:
        return _found(job_id, cast(Mapping[str, str], await self._client.hgetall(keys.record(job_id))))

    async def make(self, move: Move) -> Job:
        return _counted(move, _moved(move, await self._move(*_request(move))))

    async def erase(self, job: Job) -> None:
        names = [keys.record(job.id), keys.events(job.id), keys.LITTER, keys.DEAD, keys.owned(job.owner)]
        names += [keys.OUTBOX, keys.DUE, keys.telling(job.id), keys.deliveries(job.id)]
        ends = " ".join(to_json(status).decode() for status in JobStatus if not TRANSITIONS[status])
        status = await self._erase(names, [job.id, job_prefix(job.id), ends])
        if status is None:
            raise JobNotFound(job.id)
        if not JobStatus(json.loads(status)).is_terminal:
            raise StillActive(json.loads(status))

    async def events(self, job_id: str, after: str, wait: float) -> Sequence[tuple[str, str]]:
        # Never so long that the client would take the connection for dead (`service.connections`).
        block = min(int(wait * 1000), EVENTS_TURN) or None
        found = cast(Any, await self._client.xread({keys.events(job_id): after}, block=block))
        return [(event_id, fields["e"]) for _, entries in found or () for event_id, fields in entries]

    async def place(self, job: Job) -> Place:
        async with self._client.pipeline(transaction=False) as commands:
            commands.zrank(keys.order(job.model), job.message or "")
            commands.hget(keys.pace(job.model), "seconds")
            commands.zcard(keys.leases(job.model))
            ahead, seconds, running = await commands.execute()
        if ahead is None or seconds is None:
            return Place(ahead, None)
        return Place(ahead, (ahead + 1) * float(seconds) / max(1, running))

    async def owned(self, owner: str, before: tuple[float, str] | None, count: int) -> Sequence[Owned]:
        key, most = keys.owned(owner), "+inf" if before is None else before[0]
        # Jobs of the same millisecond are in the order of their ids, backwards.
        found = cast(Any, await self._client.zrevrangebyscore(key, most, "-inf", 0, count + SAME, withscores=True))
        places = [(float(score), job_id) for job_id, score in found]
        places = [place for place in places if before is None or place < before][:count]
        async with self._client.pipeline(transaction=False) as commands:
            for _, job_id in places:
                commands.hgetall(keys.record(job_id))
            records = await commands.execute() if places else []
        gone = [job_id for (_, job_id), record in zip(places, records, strict=True) if not record]
        if gone:
            await self._client.zrem(key, *gone)
        return [Owned(at, _readable(record)) for at, record in zip(places, records, strict=True)]

    async def named(self, owner: str, name: str) -> str | None:
        found = cast(str | None, await self._client.get(keys.named(owner, name)))
        return found.split()[1] if found else None

    async def ping(self) -> None:
        """Raise a `redis.RedisError` where Redis does not answer, `UnsafeRedis` where it may drop jobs."""
        refuse_eviction(cast(Mapping, await self._client.info("memory")).get("maxmemory_policy"))
        self._safe_until = time.monotonic() + TRUSTED


def _admission(admission: Admission) -> tuple[Sequence[str], Sequence[Any]]:
    """Keys and arguments of `scripts.ADMIT`."""
    owner, limits = admission.jobs[0].owner, admission.limits
    names = [keys.named(owner, admission.name or ""), keys.active(owner), keys.bucket(owner), keys.owned(owner)]
    names.append(keys.MODELS)
    jobs, fields = [], []
    for job in admission.jobs:
        message = message_about(job.id, job.model)
        kept = _pairs({**{name: getattr(job, name) for name in Job.model_fields}, "message": message.id})
        names += [keys.record(job.id), keys.events(job.id), keys.waiting(job.model), keys.order(job.model)]
        names += [message.list, keys.leases(job.model), keys.pace(job.model)]
        jobs.append(
            {
                "id": job.id,
                "model": job.model,
                "created_at": _instant(job.created_at),
                "expires_at": _instant(job.expires_at),
                "start_by": _instant(job.start_by),
                "message": message.id,
                "turn": job.turn,
                "fields": len(kept),
                "message_fields": len(message.fields),
            }
        )
        fields += [*kept, *message.fields]
    life = max(job.expires_at - job.created_at for job in admission.jobs)
    asked = {
        "fingerprint": admission.fingerprint if admission.name is not None else None,
        "per_minute": limits.per_minute,
        "burst": limits.burst,
        "active": limits.active,
        "backlog": limits.backlog,
        "oldest": _milliseconds(life + MARGIN + timedelta(days=1)),
        "batch": admission.batch and {"id": admission.batch.id, "about": admission.batch.model_dump_json()},
        "jobs": jobs,
    }
    return names, [json.dumps({name: value for name, value in asked.items() if value is not None}), *fields]


def _admitted(admission: Admission, answer: Sequence[Any]) -> Admitted:
    limits, job_ids = admission.limits, [job.id for job in admission.jobs]
    match answer:
        case ["admitted"]:
            return Admitted(job_ids, batch_id=admission.batch.id if admission.batch else None)
        case ["replayed", before] if admission.batch:
            return Admitted((), replayed=True, batch_id=before)
        case ["replayed", before]:
            return Admitted(before.split(), replayed=True)
        case ["rate", milliseconds]:
            raise RateLimited(milliseconds / 1000)
        case ["active", active]:
            raise TooManyActive(active, limits.active or 0, ACTIVE_RETRY)
        case ["full", index, waiting, milliseconds]:
            raise QueueFull(admission.jobs[index - 1].model, waiting, milliseconds / 1000)
    raise NameReused


def _request(move: Move) -> tuple[Sequence[str], Sequence[Any]]:
    """Keys and arguments of `scripts.MOVE`."""
    names = [keys.record(move.job_id), keys.events(move.job_id), keys.waiting(move.model), keys.leases(move.model)]
    names += [keys.LITTER, keys.OUTBOX, keys.DEAD, keys.order(move.model), list_of(move.model)]
    names += [keys.active(move.owner), keys.pace(move.model)]
    message = None if move.turn is None else message_about(move.job_id, move.model)
    changes: dict[str, object] = {**move.changes, "status": move.to}
    if message:
        changes["message"] = message.id
    fields = _pairs(changes)
    asked: dict[str, object] = {
        "id": move.job_id,
        "from": to_json(move.from_).decode(),
        "to": to_json(move.to).decode(),
        "ends": str(move.to) if move.to.is_terminal else None,
        "holder": None if move.holder is None else json.dumps(move.holder),
        "lapsed": move.lapsed,
        "attempts": move.attempts,
        "lease": None if move.lease is None else _milliseconds(move.lease),
        "litter": [(prefix, _instant(when)) for prefix, when in move.litter],
        "event": move.event,
        "dead": move.dead,
        "turn": move.turn,
        "took": move.took,
        "message": message and message.id,
        "fields": len(fields),
        **{name: _instant(cast(datetime, changes[name])) for name in ("expires_at", "start_by") if name in changes},
    }
    # What is absent is nil to Lua; a JSON null would be a value of its own.
    told = json.dumps({name: value for name, value in asked.items() if value is not None})
    return names, [told, *fields, *(message.fields if message else ())]


def _moved(move: Move, answer: tuple[int, list[str]] | None) -> Job:
    if answer is None:
        raise JobNotFound(move.job_id)
    done, flat = answer
    job = _found(move.job_id, dict(zip(flat[::2], flat[1::2], strict=True)))
    # The execution that it names already: begun once before, when the answer was lost on its way.
    begun = move.lease is not None and job.execution == move.changes.get("execution")
    if not done and not begun:
        raise IllegalTransition(move.job_id, job.status, move.to)
    return job


def _counted(move: Move, job: Job) -> Job:
    if move.to.is_terminal:
        job_ended(job)
    return job


def _found(job_id: str, fields: Mapping[str, str]) -> Job:
    if not fields:
        raise JobNotFound(job_id)
    return decode(fields)


def _readable(fields: Mapping[str, str]) -> Job | None:
    try:
        return decode(fields) if fields else None
    except NewerRecord:
        return None


def _pairs(changes: Mapping[str, object]) -> list[str]:
    return [part for pair in encode(changes).items() for part in pair]


def _instant(moment: datetime) -> int:
    """Milliseconds since 1970, as Redis counts them."""
    return int(moment.timestamp() * 1000)


def _milliseconds(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)


def encode(fields: Mapping[str, object]) -> dict[str, str]:
    """Fields of a job as the hash holds them: each value is JSON of its own, a long one packed.

    What never changes, which only a new record has, is one value; what a new record does not have yet is left out.
    """
    if unknown := fields.keys() - Job.model_fields.keys():
        raise TypeError(f"a job has no {', '.join(sorted(unknown))}")
    fixed = {name: fields[name] for name in FIXED if name in fields}
    if not fixed:
        return {name: _packed(to_json(value)) for name, value in fields.items()}
    present = {name: value for name, value in fields.items() if name not in FIXED and value is not None}
    return {"fixed": _packed(to_json(fixed)), **{name: _packed(to_json(value)) for name, value in present.items()}}


def decode(fields: Mapping[str, str]) -> Job:
    """The job that a hash holds.

    Raises:
        NewerRecord: a newer version of this program wrote it.
    """
    texts = {name: _unpacked(text) for name, text in fields.items()}
    fixed = texts.pop("fixed")
    version = from_json(fixed)["schema_version"]
    if version > SCHEMA_VERSION:
        raise NewerRecord(version)
    rest = "".join(f",{json.dumps(name)}:{text}" for name, text in texts.items())
    return Job.model_validate_json(fixed[:-1] + rest + "}")


def _packed(text: bytes) -> str:
    # "z" begins no JSON value.
    return text.decode() if len(text) < PACKED_FROM else "z" + b85encode(zlib.compress(text, 9)).decode()


def _unpacked(text: str) -> str:
    return zlib.decompress(b85decode(text[1:])).decode() if text.startswith("z") else text
