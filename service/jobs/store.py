"""Where job records are kept: one Redis hash per job, each field of `Job` as JSON.

Rules.
1. Every change goes through one script that looks and writes in one turn of Redis, so of two writers one loses.
2. A terminal state is written once: no state leads out of it (`model.TRANSITIONS`).
3. A writer that names an execution writes only while the record names the same one.
4. Every record has a lifetime: its key expires at `expires_at`.

The API reads and writes through `AsyncRedisJobStore`, workers through `RedisJobStore`; both are the same few commands,
built and read by the functions at the end of this file. Clients must be made with `decode_responses=True`.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Protocol, cast

import redis
import redis.asyncio
from pydantic_core import to_json

from service.jobs.errors import IllegalTransition, JobNotFound
from service.jobs.model import Job, JobStatus, sources_of

#: KEYS[1] the record; ARGV[1] the states it may be in, ARGV[2] the execution it must name ("" for any),
#: ARGV[3] the second at which it expires ("" to leave it), then field, value, field, value, ...
_CHANGE = """
local status, execution = unpack(redis.call('HMGET', KEYS[1], 'status', 'execution'))
if not status then return false end
local allowed = string.find(ARGV[1], ' ' .. status .. ' ', 1, true) and (ARGV[2] == '' or ARGV[2] == execution)
if allowed then
  redis.call('HSET', KEYS[1], unpack(ARGV, 4))
  if ARGV[3] ~= '' then redis.call('EXPIREAT', KEYS[1], ARGV[3]) end
end
return {allowed and 1 or 0, redis.call('HGETALL', KEYS[1])}
"""


class JobStore(Protocol):
    """The truth about jobs, as a worker uses it."""

    def create(self, job: Job) -> None:
        """Keep a new record."""

    def get(self, job_id: str) -> Job:
        """The record; raises `JobNotFound`."""

    def transition(
        self,
        job_id: str,
        to: JobStatus,
        *,
        holder: str | None = None,
        only_from: JobStatus | None = None,
        **changes: object,
    ) -> Job:
        """Change the state, and fields with it, or raise `IllegalTransition` and change nothing.

        Args:
            job_id: whose record.
            to: the state to come.
            holder: the execution that the record must name; None where that does not matter.
            only_from: the state it must be in, where that is to be less than the table allows.
            **changes: fields of `Job` to be written in the same turn.
        """

    def update(self, job_id: str, *, holder: str, **changes: object) -> Job:
        """Change fields of a running job that the execution `holder` holds, or raise `IllegalTransition`."""

    def remove(self, job_id: str) -> None:
        """Forget the record, if there is one."""


class AsyncJobStore(Protocol):
    """`JobStore` as the API uses it."""

    async def create(self, job: Job) -> None: ...
    async def get(self, job_id: str) -> Job: ...
    async def transition(
        self,
        job_id: str,
        to: JobStatus,
        *,
        holder: str | None = None,
        only_from: JobStatus | None = None,
        **changes: object,
    ) -> Job: ...
    async def remove(self, job_id: str) -> None: ...
    async def ping(self) -> None: ...


class RedisJobStore:
    """`JobStore` over a blocking Redis client."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._change = client.register_script(_CHANGE)

    def create(self, job: Job) -> None:
        with self._client.pipeline(transaction=True) as commands:
            _create(commands, job)
            commands.execute()

    def get(self, job_id: str) -> Job:
        return _found(job_id, cast(Mapping[str, str], self._client.hgetall(_key(job_id))))

    def transition(
        self,
        job_id: str,
        to: JobStatus,
        *,
        holder: str | None = None,
        only_from: JobStatus | None = None,
        **changes: object,
    ) -> Job:
        arguments = _arguments(sources_of(to, only_from), holder, {**changes, "status": to})
        return _changed(job_id, to, self._change(keys=[_key(job_id)], args=arguments))

    def update(self, job_id: str, *, holder: str, **changes: object) -> Job:
        arguments = _arguments({JobStatus.RUNNING}, holder, changes)
        return _changed(job_id, JobStatus.RUNNING, self._change(keys=[_key(job_id)], args=arguments))

    def remove(self, job_id: str) -> None:
        self._client.delete(_key(job_id))


class AsyncRedisJobStore:
    """`AsyncJobStore` over an asyncio Redis client."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._change = client.register_script(_CHANGE)

    async def create(self, job: Job) -> None:
        async with self._client.pipeline(transaction=True) as commands:
            _create(commands, job)
            await commands.execute()

    async def get(self, job_id: str) -> Job:
        return _found(job_id, cast(Mapping[str, str], await self._client.hgetall(_key(job_id))))

    async def transition(
        self,
        job_id: str,
        to: JobStatus,
        *,
        holder: str | None = None,
        only_from: JobStatus | None = None,
        **changes: object,
    ) -> Job:
        arguments = _arguments(sources_of(to, only_from), holder, {**changes, "status": to})
        return _changed(job_id, to, await self._change(keys=[_key(job_id)], args=arguments))

    async def remove(self, job_id: str) -> None:
        await self._client.delete(_key(job_id))

    async def ping(self) -> None:
        """Raise a `redis.RedisError` where Redis does not answer."""
        await self._client.ping()


def _key(job_id: str) -> str:
    return f"job:{job_id}"


def _create(commands: Any, job: Job) -> None:
    """Queue the commands that keep a new record, for a pipeline of either kind."""
    commands.hset(_key(job.id), mapping=encode({name: getattr(job, name) for name in Job.model_fields}))
    commands.expireat(_key(job.id), int(job.expires_at.timestamp()))


def _arguments(allowed: Collection[JobStatus], holder: str | None, changes: Mapping[str, Any]) -> list:
    states = "".join(f" {json.dumps(status)} " for status in sorted(allowed))
    expiry = str(int(changes["expires_at"].timestamp())) if "expires_at" in changes else ""
    pairs = [part for pair in encode(changes).items() for part in pair]
    return [states, json.dumps(holder) if holder else "", expiry, *pairs]


def _changed(job_id: str, to: JobStatus, answer: tuple[int, list[str]] | None) -> Job:
    if answer is None:
        raise JobNotFound(job_id)
    allowed, flat = answer
    job = _found(job_id, dict(zip(flat[::2], flat[1::2], strict=True)))
    if not allowed:
        raise IllegalTransition(job_id, job.status, to)
    return job


def _found(job_id: str, fields: Mapping[str, str]) -> Job:
    if not fields:
        raise JobNotFound(job_id)
    return decode(fields)


def encode(fields: Mapping[str, object]) -> dict[str, str]:
    """Fields of a job as the hash holds them: each value is JSON of its own."""
    if unknown := fields.keys() - Job.model_fields.keys():
        raise TypeError(f"a job has no {', '.join(sorted(unknown))}")
    return {name: to_json(value).decode() for name, value in fields.items()}


def decode(fields: Mapping[str, str]) -> Job:
    """The job that a hash holds."""
    return Job.model_validate_json("{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in fields.items()) + "}")
