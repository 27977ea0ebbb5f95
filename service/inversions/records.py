"""The inversions that are kept, as the API uses them; workers put them there (`jobs.redis.sources`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import redis.asyncio

from jobs.inversions import KeptInversion, inversion_key, inversion_prefix
from jobs.moves import AGAIN, LATE
from jobs.redis import keys
from jobs.redis.lua import lua
from jobs.redis.replicated import Replicated

#: The scripts of this room.
LUA = Path(__file__).with_name("lua")


class Inversions(Protocol):
    """What is known of inversions."""

    async def owned(self, owner: str) -> Sequence[KeptInversion]:
        """All of an owner's, the latest end first."""

    async def erase(self, inversion: KeptInversion) -> None:
        """Forget one, and have it removed."""


class RedisInversions:
    """`Inversions` over an asyncio client made with `decode_responses=True`."""

    def __init__(self, client: redis.asyncio.Redis, writes: Replicated | None = None) -> None:
        self._client = client
        self._erase = (writes or Replicated(client)).script(lua("erase", LUA))

    async def owned(self, owner: str) -> Sequence[KeptInversion]:
        found = cast(list[str], await self._client.zrevrange(keys.inversions(owner), 0, -1))
        names = [keys.inversion(inversion_id) for inversion_id in found]
        records = cast(list[str | None], await cast(Any, self._client.mget(names))) if names else []
        return [KeptInversion.model_validate_json(record) for record in records if record is not None]

    async def erase(self, inversion: KeptInversion) -> None:
        names = [keys.inversion(inversion.id), keys.inversions(inversion.owner), keys.LITTER]
        names.append(keys.source(inversion.owner, inversion.source))
        values: list[str | int] = [inversion.id, inversion_prefix(inversion.id), inversion_key(inversion.id)]
        await self._erase(names, [*values, int(LATE.total_seconds() * 1000), AGAIN])
