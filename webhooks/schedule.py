"""What follows from an answer, or from none: delivered, sent again later, or given up. Standard Webhooks 1.0.

2xx is taken; everything else is not, a redirect included, which is never followed; 410 ends it at once.
"""

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

#: Seconds before each attempt, from the end of the one before.
SCHEDULE = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: The longest that a receiver may put an attempt off by `Retry-After`, which is the schedule's own longest wait.
LONGEST = SCHEDULE[-1]
#: Each wait is longer by a random share up to this: what failed together is not sent again together.
JITTER = 0.1

Outcome = Literal["delivered", "retrying", "given_up", "disabled"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one attempt met with.

    Attributes:
        status: of the HTTP response; None if there was none.
        error: why there was none; a stable code.
        retry_after: seconds that the receiver wants to be left alone for.
        seconds: how long the attempt took.
    """

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What is done next: nothing, unless the outcome is "retrying"; then another attempt after `delay` seconds."""

    outcome: Outcome
    delay: float = 0.0


def verdict(answer: Answer, attempt: int) -> Verdict:
    """What follows from the answer to an attempt, the first being 1."""
    if answer.status is not None and 200 <= answer.status < 300:
        return Verdict("delivered")
    if answer.status == 410:
        return Verdict("disabled")
    if attempt >= len(SCHEDULE):
        return Verdict("given_up")
    return Verdict("retrying", max(SCHEDULE[attempt], answer.retry_after or 0.0))


def with_jitter(seconds: float) -> float:
    """A wait, and a random bit more."""
    return seconds * (1 + random.uniform(0, JITTER))


def seconds_of(retry_after: str, *, now: datetime | None = None) -> float | None:
    """What a `Retry-After` (RFC 9110, 10.2.3) says: a number of seconds or a date; None if it says neither."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            until = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), LONGEST) if math.isfinite(seconds) else None
