"""Where job records are kept: one Redis hash per job (`jobs.redis.record`), and the scripts that change it.

Rules.
1. Every change is a `Move` (`jobs.moves`), done by one script that looks and writes in one turn of Redis, so of
   two writers one loses.
2. A terminal state is written once: no move leads out of it. In the same turn it is put into the outbox.
3. A writer that names an execution writes only while the record names the same one.
4. A queued job stands in its model's `waiting`, a running one in its `leases`, in the same turn as its state: from
   these two the reaper (`reaper`) finds whatever was lost on the way. A job is queued together with its
   message, which stands in RQ's list where its turn is.
5. Every record has a lifetime, which no active job reaches: its key expires at `expires_at`.

The API reads and writes through `AsyncRedisJobStore`, workers through `RedisJobStore`; what they send and what is
answered is `jobs.redis.calls`. Clients must be made with `decode_responses=True`.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, cast

import redis
import redis.asyncio
from anyio import to_thread
from pydantic_core import to_json
from redis.commands.core import AsyncScript

from jobs.admission import Admission, Admitted
from jobs.errors import JobNotFound, NewerRecord, NotReplicated, StillActive
from jobs.model import TRANSITIONS, Job, JobError, JobStatus, job_prefix
from jobs.moves import Move
from jobs.redis import keys
from jobs.redis.calls import admission_answer, admission_call, milliseconds, move_answer, move_call
from jobs.redis.connection import refuse_eviction
from jobs.redis.gathered import Gathered
from jobs.redis.lua import lua
from jobs.redis.notes import Notes
from jobs.redis.record import decode, existing, plain
from jobs.redis.replicated import BlockingReplicated, Replicated
from jobs.redis.together import call_of, together
from jobs.usage import USAGE_DAYS
from process.metrics import job_ended

#: How many jobs of an owner may be of one millisecond.
SAME = 100
#: Seconds for which the API takes Redis's eviction policy for what it last was.
TRUSTED = 30


class Watch(NamedTuple):
    """What a worker looks at between two steps.

    Attributes:
        execution: that has the job.
        is_followed: whether a client reads the job's events as they come (`jobs.follow.feed`).
    """

    execution: str | None
    cancel_requested: bool
    is_followed: bool = False


class Begun(NamedTuple):
    """A job that was begun, and whether a client reads its events as they come (`jobs.follow.feed`)."""

    job: Job
    is_followed: bool


class Place(NamedTuple):
    """Where a waiting job stands.

    Attributes:
        ahead: how many go before it; None if it waits no more.
        seconds: how long that may take, by how long jobs took of late and how many run; None if nothing tells.
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

    def end(self, move: Move) -> None:
        """`make` of the last move of an execution, after which its worker does not read the job."""

    def begin(self, move: Move) -> Begun:
        """`make` of `moves.begin`, which says whether anybody follows the job, too."""

    def renew(self, job: Job, lease: timedelta) -> bool:
        """Lengthen the lease of the execution that a job names to so long from now; False where it lost the job."""

    def renew_all(self, jobs: Sequence[Job], lease: timedelta, reports: Sequence[Move] = ()) -> Sequence[bool]:
        """`renew` of several jobs in one round trip.

        Args:
            reports: moves that are made in the same one; those that cannot be made are left out.
        """

    def watch(self, job_id: str) -> Watch:
        """Who has the job, whether it is still wanted, and whether it is followed; raises `JobNotFound`."""


class AsyncJobStore(Protocol):
    """`JobStore` as the API uses it."""

    async def admit(self, admission: Admission) -> Admitted:
        """Accept jobs, all or none; raises `Refused`, `NameReused`, or `NotReplicated` (`jobs.redis.replicated`)."""

    async def get(self, job_id: str) -> Job: ...

    async def look(self, job_id: str) -> Mapping[str, Any]:
        """`get` as plain data (`jobs.redis.record.plain`), for who only shows it."""

    async def make(self, move: Move) -> Job:
        """Make a move, as `JobStore.make`; raises `NotReplicated` where it was made and a failover may undo it."""

    async def place(self, job_id: str, model: str, message: str | None) -> Place:
        """Where a waiting job stands; `message` is its record's."""

    async def owned(self, owner: str, before: tuple[float, str] | None, count: int) -> Sequence[Owned]:
        """An owner's jobs, the newest first, from the one after `before` on; None in place of what is over."""

    async def named(self, owner: str, name: str) -> str | None:
        """The first job that an owner's name for a request stands for."""

    async def erase(self, job: Job) -> None:
        """Forget a job that has ended, and have what it stored removed.

        Raises:
            StillActive, JobNotFound: nothing was erased.
            NotReplicated: it was, and a failover may undo it.
        """

    async def confirm(self) -> None:
        """Raise `NotReplicated` where a failover may undo what was written up to now."""

    async def ping(self) -> None:
        """Raise a `redis.RedisError` where the store does not answer, `UnsafeRedis` where it may drop jobs."""


class RedisJobStore:
    """`JobStore` over a blocking Redis client.

    Args:
        replicas: how many are waited for when a job ends (`jobs.redis.replicated`).
        notes: are sent with the begin of a job.
    """

    def __init__(
        self, client: redis.Redis, *, usage_days: int = USAGE_DAYS, replicas: int = 0, notes: Notes | None = None
    ) -> None:
        self._client, self._usage_kept = client, timedelta(days=usage_days)
        self._notes = notes or Notes()
        self._admit, self._move, self._renew = (
            client.register_script(lua(name)) for name in ("admit", "move", "renew")
        )
        self._end = BlockingReplicated(client, replicas).script(lua("move"))

    def create(self, job: Job) -> None:
        admission = Admission(jobs=[job])
        admission_answer(admission, self._admit(*admission_call(admission)))

    def get(self, job_id: str) -> Job:
        return existing(job_id, cast(Mapping[str, str], self._client.hgetall(keys.record(job_id))))

    def make(self, move: Move) -> Job:
        # Of a connection that is lost while replicas are waited for, the move is made again, at the next primary.
        run = self._end if move.to.is_terminal else self._move
        return _counted(move, move_answer(move, run(*move_call(move, self._usage_kept))))

    def end(self, move: Move) -> None:
        run = self._end if move.to.is_terminal else self._move
        done, flat = cast(tuple[int, list[str]], run(*move_call(move, self._usage_kept, silent=True)) or (0, []))
        if not done:
            move_answer(move, (0, flat) if flat else None)  # says what the job is instead
        _count(move)

    def begin(self, move: Move) -> Begun:
        begun = call_of(self._move, *move_call(move, self._usage_kept))
        follows = ("EXISTS", keys.followed(keys.events(move.job_id)))
        answer, followed = self._notes.sent_with(self._client, [begun, follows], [self._move])
        return Begun(move_answer(move, answer), bool(followed))

    def renew(self, job: Job, lease: timedelta) -> bool:
        return self.renew_all([job], lease)[0]

    def renew_all(self, jobs: Sequence[Job], lease: timedelta, reports: Sequence[Move] = ()) -> Sequence[bool]:
        commands = []
        for job in jobs:
            names = [keys.record(job.id), keys.leases(job.model)]
            arguments = [job.id, json.dumps(job.execution), milliseconds(lease)]
            commands.append(call_of(self._renew, names, arguments))
        for report in reports:
            commands.append(call_of(self._move, *move_call(report, self._usage_kept, silent=True)))
        answers = together(self._client, commands, [self._renew, self._move])
        return [bool(answer) for answer in answers[: len(jobs)]]

    def watch(self, job_id: str) -> Watch:
        with self._client.pipeline(transaction=False) as commands:
            commands.hmget(keys.record(job_id), "status", "execution", "cancel_requested")
            commands.exists(keys.followed(keys.events(job_id)))
            fields, followed = commands.execute()
        status, execution, cancel_requested = cast(list[str | None], fields)
        if status is None:
            raise JobNotFound(job_id)
        return Watch(json.loads(execution or "null"), json.loads(cancel_requested or "false"), bool(followed))


class AsyncRedisJobStore:
    """`AsyncJobStore` over an asyncio Redis client.

    Args:
        writes: what changes records; raises `NotReplicated` where it says that replicas are waited for.
    """

    def __init__(
        self, client: redis.asyncio.Redis, *, usage_days: int = USAGE_DAYS, writes: Replicated | None = None
    ) -> None:
        self._client, self._usage_kept = client, timedelta(days=usage_days)
        self._writes = writes or Replicated(client)
        self._gathered = Gathered(client, self._writes)
        self._admit = client.register_script(lua("admit"))
        self._move, self._erase = (self._writes.script(lua(name)) for name in ("move", "erase"))
        self._safe_until = float("-inf")

    async def admit(self, admission: Admission) -> Admitted:
        if time.monotonic() > self._safe_until:
            await self.ping()
        if admission.is_large:
            call = await to_thread.run_sync(admission_call, admission, self._usage_kept)
        else:
            call = admission_call(admission, self._usage_kept)
        if not (replicas := self._writes.number):
            return admission_answer(admission, await self._run(self._admit, *call))
        answer, is_replicated = await self._run(self._admit, *call, replicas=replicas)
        # A refusal first: where nothing was written, nothing can be lost.
        admitted = admission_answer(admission, answer)
        if not is_replicated:
            raise NotReplicated(replicas)
        return admitted

    async def _run(self, script: AsyncScript, names: Sequence[str], arguments: Sequence[Any], replicas: int = 0) -> Any:
        command = ("EVALSHA", script.sha, len(names), *names, *arguments)
        try:
            return await self._gathered.execute(*command, replicas=replicas)
        except redis.exceptions.NoScriptError:
            await self._client.script_load(script.script)
            return await self._gathered.execute(*command, replicas=replicas)

    async def get(self, job_id: str) -> Job:
        return existing(job_id, cast(Mapping[str, str], await self._gathered.execute("HGETALL", keys.record(job_id))))

    async def look(self, job_id: str) -> Mapping[str, Any]:
        fields = cast(Mapping[str, str], await self._gathered.execute("HGETALL", keys.record(job_id)))
        if not fields:
            raise JobNotFound(job_id)
        return plain(fields)

    async def make(self, move: Move) -> Job:
        return _counted(move, move_answer(move, await self._move(*move_call(move, self._usage_kept))))

    async def erase(self, job: Job) -> None:
        names = [keys.record(job.id), keys.events(job.id), keys.LITTER, keys.DEAD, keys.owned(job.owner)]
        names += [keys.OUTBOX, keys.DUE, keys.telling(job.id), keys.deliveries(job.id)]
        ends = " ".join(to_json(status).decode() for status in JobStatus if not TRANSITIONS[status])
        status = await self._erase(names, [job.id, job_prefix(job.id), ends, _index(job)])
        if status is None:
            raise JobNotFound(job.id)
        if not JobStatus(json.loads(status)).is_terminal:
            raise StillActive(json.loads(status))

    async def place(self, job_id: str, model: str, message: str | None) -> Place:
        async with self._client.pipeline(transaction=False) as commands:
            commands.zrank(keys.order(model), message or "")
            commands.hget(keys.pace(model), "seconds")
            commands.zcard(keys.leases(model))
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
        owned = []
        for at, record in zip(places, records, strict=True):
            owned.append(Owned(at, _readable(record)))
            await asyncio.sleep(0)  # the largest record takes some milliseconds, and there may be a hundred
        return owned

    async def named(self, owner: str, name: str) -> str | None:
        found = cast(str | None, await self._client.get(keys.named(owner, name)))
        return found.split()[1] if found else None

    async def confirm(self) -> None:
        await self._writes.confirm()

    async def ping(self) -> None:
        """Raise a `redis.RedisError` where Redis does not answer, `UnsafeRedis` where it may drop jobs."""
        refuse_eviction(cast(Mapping, await self._client.info("memory")).get("maxmemory_policy"))
        self._safe_until = time.monotonic() + TRUSTED


def _counted(move: Move, job: Job) -> Job:
    _count(move)
    return job


def _count(move: Move) -> None:
    if move.to.is_terminal:
        error = cast(JobError | None, move.changes.get("error"))
        job_ended(move.model, str(move.to), error.code if error else "")


def _index(job: Job) -> str:
    """The index of all that is of the same subject; "" where it is of none."""
    return "" if job.of_subject is None else keys.subject(job.owner, job.of_subject)


def _readable(fields: Mapping[str, str]) -> Job | None:
    try:
        return decode(fields) if fields else None
    except NewerRecord:
        return None
