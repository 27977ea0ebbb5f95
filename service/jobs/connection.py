"""Redis clients that outlast a restart of Redis, and a Redis that may be trusted with jobs."""

import time
from collections.abc import Mapping
from typing import Any, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError
from redis.retry import Retry

from service.jobs.errors import UnsafeRedis

#: Waits that begin at a tenth of a second and double up to two: fourteen, about twenty seconds in all. A Redis that
#: restarts is back in less; what lasts longer is for whoever asked.
_RETRIES, _FIRST, _LONGEST = 14, 0.05, 2.0
_HOW: dict[str, Any] = {
    "decode_responses": True,
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "retry_on_error": [ConnectionError, TimeoutError, BusyLoadingError],
}


def patient_client(url: str) -> redis.Redis:
    """A client, decoding, that sends again what a lost connection left open.

    All that is sent through it may be done twice: a move that is made already says so.
    """
    return redis.Redis.from_url(url, retry=Retry(*_patience()), **_HOW)


def patient_async_client(url: str) -> redis.asyncio.Redis:
    """`patient_client` for asyncio."""
    return redis.asyncio.Redis.from_url(url, retry=AsyncRetry(*_patience()), **_HOW)


def _patience() -> tuple[ExponentialBackoff, int]:
    return ExponentialBackoff(base=_FIRST, cap=_LONGEST), _RETRIES


def refuse_eviction(policy: object) -> None:
    """Raises `UnsafeRedis` for any `maxmemory-policy` but the one that drops nothing.

    Every key here has a lifetime, so the "volatile" policies would take them as well.
    """
    if policy not in (None, "noeviction"):
        raise UnsafeRedis(str(policy))


def wait_for(client: redis.Redis, *, patience: float = 30) -> None:
    """Waits until Redis answers, and refuses one that may drop jobs.

    Raises:
        UnsafeRedis: see `refuse_eviction`.
        redis.RedisError: it does not answer for `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return refuse_eviction(cast(Mapping, client.info("memory")).get("maxmemory_policy"))
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
