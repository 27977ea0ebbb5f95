"""Redis clients that outlast a restart of Redis or a failover, and a Redis that may be trusted with jobs."""

import logging
import time
from collections.abc import Mapping
from typing import Any, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError
from redis.retry import Retry

from jobs.errors import RefusedRedis, UnsafeRedis
from jobs.redis.refusal import refusal
from jobs.redis.schemes import async_client, client
from process.masked import masked

log = logging.getLogger(__name__)

#: Waits that begin at a tenth of a second and double up to two: fourteen, about twenty seconds in all. A Redis that
#: restarts is back in less; what lasts longer is the caller's to handle.
_RETRIES, _FIRST, _LONGEST = 14, 0.05, 2.0
_ONCE: dict[str, Any] = {"decode_responses": True, "socket_connect_timeout": 2, "socket_timeout": 5}
_HOW: dict[str, Any] = {**_ONCE, "retry_on_error": [ConnectionError, TimeoutError, BusyLoadingError]}
#: Seconds that a process waits for its first answer: a container of Redis starts and loads its data meanwhile.
PATIENCE = 45.0


def patient_client(url: str) -> redis.Redis:
    """A client, decoding, that sends again what a lost connection left open.

    All that is sent through it may be done twice: a move that is made already says so.
    """
    return client(url, retry=Retry(*_patience()), **_HOW)


def patient_rq_client(url: str) -> redis.Redis:
    """`patient_client` for RQ, which reads bytes and sets how long it waits by itself.

    A message whose move is sent twice may be lost on its way to a worker. The reaper sends it again.
    """
    how = {name: value for name, value in _HOW.items() if name not in ("decode_responses", "socket_timeout")}
    return client(url, retry=Retry(*_patience()), **how)


def patient_async_client(url: str) -> redis.asyncio.Redis:
    """`patient_client` for asyncio."""
    return async_client(url, retry=AsyncRetry(*_patience()), **_HOW)


def _patience() -> tuple[ExponentialBackoff, int]:
    return ExponentialBackoff(base=_FIRST, cap=_LONGEST), _RETRIES


def refuse_eviction(policy: object) -> None:
    """Raises `UnsafeRedis` for any `maxmemory-policy` but the one that drops nothing.

    Every key here has a lifetime, so the "volatile" policies would take them as well.
    """
    if policy not in (None, "noeviction"):
        raise UnsafeRedis(str(policy))


def wait_for(url: str, *, patience: float = PATIENCE) -> None:
    """Waits until Redis answers, and refuses one that may drop jobs.

    Raises:
        UnsafeRedis: see `refuse_eviction`.
        RefusedRedis: the URL can never work; see `reached`.
        redis.RedisError: it does not answer for `patience` seconds.
    """
    refuse_eviction(reached(url, patience=patience).get("maxmemory_policy"))


def reached(url: str, *, patience: float = PATIENCE) -> Mapping:
    """Waits until Redis answers, and says once that it waits; gives what it says of its memory.

    Only for the first connection of a process: credentials that change later are an outage, which clients outlast.

    Raises:
        RefusedRedis: what answers shows that the URL can never work.
        redis.RedisError: it does not answer for `patience` seconds.
    """
    deadline = time.monotonic() + patience
    said = False
    while True:
        try:
            return _asked(url)
        except redis.RedisError as error:
            met = " ".join(str(error).split())
            if time.monotonic() >= deadline:
                raise ConnectionError(
                    f"REDIS_URL {masked(url)!r}: no answer within {patience:g} s: {met}; start that Redis, or give the "
                    "address of another"
                ) from error
            if not said:
                log.warning("REDIS_URL %r: %s; waiting up to %g s for it", masked(url), met, patience)
                said = True
        time.sleep(0.2)


def refuse_wrong(url: str) -> bool:
    """Looks once, without waiting; tells whether Redis answered.

    Raises:
        RefusedRedis: see `reached`.
    """
    try:
        _asked(url)
    except redis.RedisError:
        return False
    return True


def _asked(url: str) -> Mapping:
    """What Redis says of its memory, asked once; raises as `reached` does."""
    with client(url, retry=Retry(NoBackoff(), 0), **_ONCE) as asked:
        try:
            return cast(Mapping, asked.info("memory"))
        except redis.RedisError as error:
            if reason := refusal(error, asked):
                raise RefusedRedis(url, reason) from error
            raise
        except UnicodeError as error:  # Python's, of a name that DNS cannot have
            raise RefusedRedis(url, "no host can have this name; give the name of one") from error
