"""Which sources are kept: where the trajectory of a source lies, for as long as the job that left it there.

An index beside the records, one Redis key per owner and source, which expires with that job. To lose it costs time,
never a result: the next edit generates its source anew. Owners never share a source: erasing a job erases all of it.
"""

from datetime import timedelta
from typing import Protocol, cast

import redis


class KeptSources(Protocol):
    """Where a worker looks for a source before it generates it."""

    def remember(self, owner: str, source: str, artifact_key: str, lifetime: timedelta) -> None:
        """Note that the source of this digest lies under a key, for so long."""

    def find(self, owner: str, source: str) -> str | None:
        """The key under which the source of this digest lies; None where it is not kept."""


class RedisKeptSources:
    """`KeptSources` over a Redis client made with `decode_responses=True`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def remember(self, owner: str, source: str, artifact_key: str, lifetime: timedelta) -> None:
        self._client.set(_key(owner, source), artifact_key, ex=lifetime)

    def find(self, owner: str, source: str) -> str | None:
        return cast(str | None, self._client.get(_key(owner, source)))


def _key(owner: str, source: str) -> str:
    return f"source:{owner}:{source}"
