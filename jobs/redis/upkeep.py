"""What the reaper reads: jobs whose workers are lost, jobs that nobody began in time, litter that is due."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import redis

from jobs.moves import AGAIN
from jobs.redis import keys
from jobs.redis.lua import lua
from jobs.redis.message import job_of, list_of
from jobs.redis.replicated import BlockingReplicated

log = logging.getLogger(__name__)

#: How many of a kind one sweep takes in hand; the next one goes on.
AT_ONCE = 1000
#: How many places a message may stand from where its order says. It is looked for by itself where it is further away.
SLACK = 1000


class Part(NamedTuple):
    """What a look at a part of a model's order has found.

    Attributes:
        missing: jobs whose messages do not seem to be in the queue, and these messages; None if the order has none.
        behind: where the next part begins; empty after the last.
    """

    missing: Mapping[str, str | None]
    behind: str


class Upkeep:
    """The indexes beside the records, over a client made with `decode_responses=True`.

    Args:
        replicas: how many must know that something is to be removed before it is (`jobs.redis.replicated`).
    """

    def __init__(self, client: redis.Redis, *, replicas: int = 0) -> None:
        self._client = client
        self._replicated, self._replicas = BlockingReplicated(client, replicas), replicas
        self._unheld = client.register_script(lua("unheld"))

    def models(self) -> Sequence[str]:
        """Every model that a job was made for, offered or not."""
        return sorted(cast(set[str], self._client.smembers(keys.MODELS)))

    def lapsed(self, model: str) -> Sequence[str]:
        """Jobs whose lease has run out."""
        return self._due(keys.leases(model))

    def overdue(self, model: str) -> Sequence[str]:
        """Jobs that somebody should have begun by now."""
        return self._due(keys.waiting(model))

    def missing(self, model: str, behind: str, count: int) -> Part:
        """Looks whether the queue holds the messages of a part of the order, without reading either whole.

        Only where jobs wait without a place in the order, which takes somebody who removes keys, both are read whole.
        """
        names = [keys.order(model), list_of(model), keys.waiting(model)]
        messages, onwards, are_lost = cast(tuple[list[str], str, int], self._unheld(names, [behind, count, SLACK]))
        missing: dict[str, str | None] = {job_of(message): message for message in messages}
        if are_lost:
            waiting = cast(list[str], self._client.zrange(keys.waiting(model), 0, -1))
            messages = cast(list[str], self._client.lrange(list_of(model), 0, -1))
            held = set(map(job_of, messages + cast(list[str], self._client.zrange(keys.deep(model), 0, -1))))
            missing |= {job_id: None for job_id in waiting if job_id not in held | missing.keys()}
        return Part(missing, onwards)

    def forget_message(self, model: str, message: str | None) -> None:
        """Take a message that no waiting job names any more out of the order."""
        if message is not None:
            self._client.zrem(keys.order(model), message)

    def forget(self, model: str, job_id: str) -> None:
        """Take a job whose record is gone out of both indexes."""
        self._client.zrem(keys.waiting(model), job_id)
        self._client.zrem(keys.leases(model), job_id)

    def litter(self) -> Sequence[str]:
        """Prefixes in the object storage that are to be removed by now, as they are to be `cleared`.

        Empty while too few replicas have all of them. A failover may undo what says that they are to be removed, an
        erased edit for one; what is removed stays away.
        """
        found, is_replicated = self._replicated.execute(*self._asked_for(keys.LITTER))
        if found and not is_replicated:
            log.warning("nothing is removed: fewer than %d replicas have what is to be", self._replicas)
            return []
        return cast(list[str], found)

    def cleared(self, items: Iterable[str]) -> None:
        """These have been removed."""
        self._client.zrem(keys.LITTER, *items)

    def dead(self) -> Sequence[str]:
        """Jobs that failed because their workers were lost, the oldest first."""
        return cast(list[str], self._client.zrange(keys.DEAD, 0, -1))

    def buried(self, job_id: str) -> None:
        """Take a job out of the dead letters."""
        self._client.zrem(keys.DEAD, job_id)

    def _due(self, key: str) -> Sequence[str]:
        return cast(list[str], self._client.execute_command(*self._asked_for(key)))

    def _asked_for(self, key: str) -> Sequence[str | int]:
        seconds, microseconds = cast(tuple[int, int], self._client.time())
        return "ZRANGEBYSCORE", key, "-inf", seconds * 1000 + microseconds // 1000, "LIMIT", 0, AT_ONCE


def prefix_of(item: str) -> str:
    """The prefix that an item of the litter names."""
    return item.removesuffix(AGAIN)
