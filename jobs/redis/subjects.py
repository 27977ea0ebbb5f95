"""What is whose: of each owner's subject the edits, batches and pictures that were made for it.

An index beside the records, a sorted set by when each is forgotten at the latest. The turns of Redis that write,
prolong and erase a record keep it (`lua/admit.lua`, `lua/move.lua`, `lua/erase.lua`, those of pictures). It names
nothing that is over for long, and goes with the last of it.

Beside them stand the names of requests (`keys.named`): a client may call its requests by its subjects.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, cast

import redis.asyncio
from redis.asyncio import Redis

from jobs.batches import Batch
from jobs.redis import keys
from jobs.redis.lua import lua
from jobs.redis.replicated import Replicated

Kind = Literal["edit", "batch", "image"]

#: What a request's name begins with in the index; the rest is its key.
_NAME = "name "


class Member(NamedTuple):
    """Something that is a subject's."""

    kind: Kind
    id: str


class Subjects(Protocol):
    """What is known of subjects."""

    async def members(self, owner: str, subject: str) -> Sequence[Member]:
        """All that is a subject's: its edits first, then batches and pictures. Some may be over."""

    async def forget(self, owner: str, subject: str, members: Sequence[Member]) -> None:
        """Leave out what is over."""

    async def erase_batch(self, batch: Batch) -> None:
        """Forget a batch; its edits are erased apart."""

    async def forget_names(self, owner: str, subject: str) -> None:
        """Forget what the requests for a subject were called, of which nothing is left."""


class RedisSubjects:
    """`Subjects` over an asyncio client made with `decode_responses=True`."""

    def __init__(self, client: redis.asyncio.Redis, writes: Replicated | None = None) -> None:
        self._client: Redis = client
        writes = writes or Replicated(client)
        self._erase_batch, self._forget_name = (writes.script(lua(name)) for name in ("erase_batch", "forget_name"))

    async def members(self, owner: str, subject: str) -> Sequence[Member]:
        found = [each for each in await self._named(owner, subject) if not each.startswith(_NAME)]
        members = [Member(cast(Kind, kind), name) for kind, _, name in (each.partition(" ") for each in found)]
        return sorted(members, key=lambda each: ("edit", "batch", "image").index(each.kind))

    async def forget(self, owner: str, subject: str, members: Sequence[Member]) -> None:
        if members:
            await self._client.zrem(keys.subject(owner, subject), *(f"{kind} {name}" for kind, name in members))

    async def erase_batch(self, batch: Batch) -> None:
        name = batch.subject
        names = [name, keys.batch_events(batch.id), keys.OUTBOX, keys.DUE, keys.telling(name), keys.deliveries(name)]
        await self._erase_batch(names, [name])

    async def forget_names(self, owner: str, subject: str) -> None:
        names = [each for each in await self._named(owner, subject) if each.startswith(_NAME)]
        for each in names:
            await self._forget_name([each.removeprefix(_NAME)], [])
        if names:
            await self._client.zrem(keys.subject(owner, subject), *names)

    async def _named(self, owner: str, subject: str) -> list[str]:
        """All that the index names."""
        return cast(list[str], await self._client.zrange(keys.subject(owner, subject), 0, -1))


class NoSubjects:
    """`Subjects` where nobody has any."""

    async def members(self, owner: str, subject: str) -> Sequence[Member]:
        return ()

    async def forget(self, owner: str, subject: str, members: Sequence[Member]) -> None:
        """There are none."""

    async def erase_batch(self, batch: Batch) -> None:
        """There are none."""

    async def forget_names(self, owner: str, subject: str) -> None:
        """There are none."""
