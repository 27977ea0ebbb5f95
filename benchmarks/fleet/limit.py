"""How many workers one Redis carries, from what a fleet of some size cost it."""

from dataclasses import dataclass

#: Seconds of a job that the limit is said for.
JOB = 2.0


@dataclass(frozen=True)
class Limit:
    """How many workers there may be, and what bounds them: Redis's core, or the connections that it takes."""

    workers: int
    by: str


def limit(
    *, core_share: float, jobs_per_s: float, workers: int, idle_core_share: float, connections: float, most: int
) -> Limit:
    """The workers with jobs of `JOB` seconds that one Redis carries: the smaller one of two bounds.

    *Its core.* What Redis does is linear in jobs and in workers: each job costs it so many processor seconds, from its
    admission to its end, and each worker so many a second for being there, its leases and signs of life. With `w`
    seconds of processor for a worker and second, and `j` for a job,

        core_share = w * workers + j * jobs_per_s

    of which `w` is what an idle worker costs, `idle_core_share`. It looks for a message each second, so it costs more
    than one that is busy: `j` comes out too small by as much as `w` is too large, and a fleet that is always busy,
    which is the one asked for, costs the same by both. A worker that is never idle ends 1 / JOB jobs a second, and the
    core is full at

        workers = 1 / (w + j / JOB)

    A Redis that is nearly full answers later, but costs less for each command, because it takes many at a time.

    *Its connections.* `most` over those of a worker.

    Args:
        core_share: of one core, with `workers` that end `jobs_per_s`.
        idle_core_share: of one core, for one idle worker.
        connections: of one worker.
        most: connections that Redis takes.
    """
    job = max(0.0, core_share - idle_core_share * workers) / jobs_per_s
    by_core = int(1 / (idle_core_share + job / JOB))
    by_connections = int(most / connections)
    return Limit(by_core, "core") if by_core <= by_connections else Limit(by_connections, "connections")
