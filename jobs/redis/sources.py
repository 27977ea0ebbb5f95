"""Which sources are kept: where the trajectory of a source lies.

An index beside the records, one Redis key per owner and source, which expires with what it names: a generated source
with the job that left it there, a picture's inversion by itself. To lose it costs time, never a result: the next edit
finds its source anew. Owners never share a source: erasing a job, or a picture, erases all of it.
"""

from datetime import timedelta
from typing import Protocol, cast

import redis

from jobs.inversions import KeptInversion, inversion_key, inversion_prefix
from jobs.redis import keys
from jobs.redis.lua import lua


class KeptSources(Protocol):
    """Where a worker looks for a source before it generates it."""

    def remember(self, owner: str, source: str, artifact_key: str, lifetime: timedelta) -> None:
        """Note that the source of this digest lies under a key, for so long."""

    def keep(self, inversion: KeptInversion) -> bool:
        """Note an inversion, in the place of an older one of the same digest; what lies at its place is removed when it
        ends. False where its picture was erased meanwhile: then nothing may be put there.
        """

    def find(self, owner: str, source: str) -> str | None:
        """The key under which the source of this digest lies; None if it is not kept."""


class RedisKeptSources:
    """`KeptSources` over a Redis client made with `decode_responses=True`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._keep = client.register_script(lua("keep_inversion"))

    def remember(self, owner: str, source: str, artifact_key: str, lifetime: timedelta) -> None:
        self._client.set(keys.source(owner, source), artifact_key, ex=lifetime)

    def keep(self, inversion: KeptInversion) -> bool:
        names = [keys.inversion(inversion.id), keys.inversions(inversion.owner), keys.LITTER]
        names += [keys.source(inversion.owner, inversion.source), keys.image(inversion.image)]
        ends = int(inversion.expires_at.timestamp() * 1000)
        place = inversion_prefix(inversion.id)
        values = [inversion.id, place, inversion_key(inversion.id), inversion.model_dump_json(), ends]
        return bool(self._keep(names, cast(list[str], values)))

    def find(self, owner: str, source: str) -> str | None:
        return cast(str | None, self._client.get(keys.source(owner, source)))
