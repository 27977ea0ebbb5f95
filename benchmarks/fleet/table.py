"""The report of `benchmarks.fleet` as two Markdown tables: what was measured, and what to do at each limit."""

from collections.abc import Mapping

from tools.markdown import table

#: Connections that Redis takes by default (`maxclients`).
CONNECTIONS = 10_000
#: Share of a core from which on answers of Redis get late.
FULL = 0.8


def of_fleet(report: Mapping) -> str:
    """Fleets, then limits in the order in which they are met."""
    rows, limit, backlog = report["workers"], report["limit_workers_at_2s_jobs"], report["backlog_100000"]
    figures = {
        "an idle worker, commands a second": report["idle_commands_per_s_per_worker"],
        "workers that one Redis carries, at jobs of 2 s": limit,
        "p99 of an admission with 100,000 waiting, ms": backlog["admit_p99_ms"],
        "p99 of an admission to an empty queue, ms": backlog["empty_p99_ms"],
        "the one over the other": round(backlog["admit_p99_ms"] / backlog["empty_p99_ms"], 2),
        "a sweep of the reaper with 100,000 waiting, s": backlog["sweep_s"],
    }
    return (
        table(list(rows[0]), [list(row.values()) for row in rows])
        + "\n"
        + table(["figure", "value"], figures.items())
        + "\n"
        + table(["at about how many workers", "what breaks first", "what to do"], _limits(rows[-1], limit))
    )


def _limits(largest: Mapping, limit: int) -> list[list[object]]:
    """What breaks, the first one first; each with the number of workers at which it does."""
    by_connections = int(CONNECTIONS * largest["workers"] / largest["connections"])
    met = [
        (
            int(limit * FULL),
            "Redis answers later: its core is busy for four fifths of the time, with jobs of 2 s",
            "a second installation with a Redis of its own; a faster core; longer jobs count for less",
        ),
        (limit, "Redis's core is full: begins and admissions wait", "as above"),
        (
            by_connections,
            f"`maxclients` ({CONNECTIONS}): further workers cannot connect",
            "raise `maxclients` and the open files of Redis",
        ),
    ]
    return [[about(number), *rest] for number, *rest in sorted(met)]


def about(number: int) -> int:
    """A number of workers, to two figures."""
    return round(number, 2 - len(str(number)))
