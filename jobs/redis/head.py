"""The first jobs of a model's order, as a worker sees them that takes more jobs beside the one it has.

The order is read and not changed. What is taken is begun by its move, which only one worker can make: so the record
decides, and RQ's list needs to know nothing of it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import redis

from jobs.errors import JobNotFound, NewerRecord
from jobs.model import Job
from jobs.redis import keys
from jobs.redis.lua import lua
from jobs.redis.record import existing

log = logging.getLogger(__name__)

#: How many entries of the order are looked at: more than a step has rows for, and few enough to be read at each step.
ENTRIES = 32


@dataclass(frozen=True)
class Entry:
    """One entry of the order.

    Attributes:
        message: its name there. A job that waits once more has another one.
        job: None if its record is gone, or is a newer version's.
    """

    message: str
    job: Job | None


class Head(Protocol):
    """The first entries of one model's order."""

    def entries(self) -> Sequence[Entry]:
        """The entries as they are now; raises a `redis.RedisError` if Redis does not answer."""


class RedisHead:
    """`Head` over a client made with `decode_responses=True`. A record is read once, for as long as it is there."""

    def __init__(self, client: redis.Redis, model: str) -> None:
        self._script, self._order = client.register_script(lua("head")), keys.order(model)
        self._known: dict[str, Entry] = {}

    def entries(self) -> Sequence[Entry]:
        found = cast(list[list], self._script([self._order], [ENTRIES, *self._known]))
        self._known = {message: self._known.get(message) or _read(message, *record) for message, *record in found}
        return list(self._known.values())


def _read(message: str, flat: list[str]) -> Entry:
    try:
        return Entry(message, existing(message, dict(zip(flat[::2], flat[1::2], strict=True))))
    except (JobNotFound, NewerRecord):
        return Entry(message, None)
    except Exception as error:
        # No record of ours, or a damaged one. The worker that gets its message says more: those who wait beside it, and
        # those that run, have no part in it.
        log.error("the job of message %s cannot be read: %s", message, type(error).__name__)
        return Entry(message, None)
