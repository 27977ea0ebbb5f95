"""Totals of what jobs used, as `lua/move.lua` adds them up: in the turn that writes an end, so each counts once."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import cast

import redis

from jobs.redis import keys
from jobs.usage import DayUsage, day_usages, number_of


class UsageTotals:
    """The totals, over a client made with `decode_responses=True`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def of(self, days: Iterable[date]) -> Iterator[DayUsage]:
        """Each key's of these days, day by day; nothing of a key that used nothing."""
        for day in days:
            fields = cast(Mapping[str, str], self._client.hgetall(keys.usage(number_of(day))))
            yield from day_usages(day, fields)
