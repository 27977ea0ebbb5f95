"""What an owner may use in a day (UTC), and what is left of it.

Seconds and bytes are counted where jobs end (`lua/move.lua`), so that what runs at the moment may exceed them by as
much as it uses. Pictures are counted when they are asked for. All of it is the day's totals, which `admin usage` shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class Quota:
    """Of one day.

    Attributes:
        gpu_seconds: of all jobs that end on it.
        pictures: that are asked for, the sources included.
        bytes: that are stored.
    """

    gpu_seconds: float | None = None
    pictures: int | None = None
    bytes: int | None = None

    def __bool__(self) -> bool:
        return any(each is not None for each in (self.gpu_seconds, self.pictures, self.bytes))


class Left(NamedTuple):
    """What is left of a limit, as `RateLimit` says it (draft-ietf-httpapi-ratelimit-headers-11).

    Attributes:
        policy: the limit's name.
        quota: all of it.
        window: seconds that it is of.
        remaining: of it, in whole units.
        resets: seconds until there is all of it again.
    """

    policy: str
    quota: int
    window: int
    remaining: int
    resets: int


def rate_limit_headers(left: Sequence[Left]) -> dict[str, str]:
    """The headers of an answer; none if nothing is limited."""
    if not left:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{each.policy}";q={each.quota};w={each.window}' for each in left),
        "RateLimit": ", ".join(f'"{each.policy}";r={each.remaining};t={each.resets}' for each in left),
    }
