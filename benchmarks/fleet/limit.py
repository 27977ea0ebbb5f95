"""How many workers one Redis carries, from what fleets of several sizes cost it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression

#: Seconds of a job that the limit is said for.
JOB = 2.0


@dataclass(frozen=True)
class Cost:
    """What one fleet cost.

    Attributes:
        workers: of the fleet.
        jobs_per_s: that ended.
        core_share: processor seconds of Redis a second.
    """

    workers: int
    jobs_per_s: float
    core_share: float


@dataclass(frozen=True)
class Limit:
    """How many workers there may be, and what bounds them: Redis's core, or the connections that it takes."""

    workers: int
    by: str


def limit(fleets: Sequence[Cost], *, idle_core_share: float, connections: float, most: int) -> Limit:
    """The workers with jobs of `JOB` seconds that one Redis carries: the smaller one of two bounds.

    *Its core.* What Redis does is linear: something for itself, the reaper and the outbox; so many processor seconds a
    second for each worker that is there, for its leases and signs of life; and so many for each job, from its admission
    to its end. With these as `f`, `w` and `j`,

        core_share = f + w * workers + j * jobs_per_s

    `w` is what an idle worker costs, `idle_core_share`. It looks for a message each second, so it costs more than one
    that is busy. `j` and `f` are the line of least squares through the fleets; where it would cross the axis below
    zero, it goes through zero. A worker that is never idle ends 1 / JOB jobs a second, so the core is full at

        workers = (1 - f) / (w + j / JOB)

    Redis takes many commands at a time where many come, so that each costs less: the true limit is not lower.

    *Its connections.* `most` over those of a worker.

    Args:
        fleets: at least one.
        idle_core_share: of one core, for one idle worker.
        connections: of one worker.
        most: connections that Redis takes.
    """
    rates = [fleet.jobs_per_s for fleet in fleets]
    shares = [max(0.0, fleet.core_share - idle_core_share * fleet.workers) for fleet in fleets]
    job, fixed = (shares[0] / rates[0], 0.0) if len(fleets) == 1 else linear_regression(rates, shares)
    if fixed < 0 or job <= 0:
        job, fixed = (
            sum(share * rate for share, rate in zip(shares, rates, strict=True)) / sum(r * r for r in rates),
            0.0,
        )
    by_core = int((1 - fixed) / (idle_core_share + job / JOB))
    by_connections = int(most / connections)
    return Limit(by_core, "core") if by_core <= by_connections else Limit(by_connections, "connections")
