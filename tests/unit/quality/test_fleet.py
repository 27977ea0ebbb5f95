"""The benchmark of a fleet: its formula, its table, and how workers are divided among processes."""

import pytest

from benchmarks.fleet.fleet import shares
from benchmarks.fleet.limit import Cost, limit
from benchmarks.fleet.table import about
from benchmarks.table import tables

BOUNDS = {"idle_core_share": 0.0, "connections": 2, "most": 10_000}


def test_a_core_that_is_a_tenth_busy_carries_ten_times_as_many_workers():
    found = limit([Cost(100, 50.0, 0.1)], **BOUNDS)

    assert (found.workers, found.by) == (1000, "core")


def test_what_redis_does_without_workers_is_no_workers_cost():
    fleets = [Cost(workers, workers / 2, 0.02 + workers * 0.001) for workers in (10, 50, 200)]

    assert limit(fleets, **BOUNDS).workers == pytest.approx(980, abs=1)


def test_no_line_makes_jobs_cost_less_than_nothing():
    # The machine was busy with something else while the first fleet was measured.
    fleets = [Cost(10, 5.0, 0.2), Cost(100, 50.0, 0.1)]

    assert 500 < limit(fleets, **BOUNDS).workers < 1000


def test_no_line_has_redis_cost_less_than_nothing_by_itself():
    fleets = [Cost(10, 5.0, 0.005), Cost(100, 50.0, 0.1)]

    assert limit(fleets, **BOUNDS).workers == pytest.approx(1000, rel=0.01)


def test_a_worker_that_is_there_costs_as_well_as_its_jobs():
    # All of the cost is one of being there: how long jobs are is no matter.
    found = limit([Cost(100, 1.0, 0.1)], **BOUNDS | {"idle_core_share": 0.001})

    assert found.workers == 1000


def test_fewer_jobs_at_the_same_cost_are_dearer_ones():
    assert limit([Cost(100, 25.0, 0.1)], **BOUNDS).workers == 500


def test_where_connections_are_fewer_they_are_the_limit():
    found = limit([Cost(100, 50.0, 0.1)], **BOUNDS | {"connections": 20})

    assert (found.workers, found.by) == (500, "connections")


@pytest.mark.parametrize(("number", "parts"), [(1, [1]), (10, [10]), (11, [6, 5]), (200, [10] * 20)])
def test_workers_are_divided_evenly_among_processes(number, parts):
    assert shares(number, 10) == parts


def test_the_table_says_what_breaks_first_and_what_to_do():
    row = {"workers": 200, "jobs_per_s": 99.5, "redis_core_share": 0.1, "begin_p99_ms": 3.0, "connections": 400}
    text = tables(
        {
            "workers": [row],
            "idle_commands_per_s_per_worker": 1.4,
            "limit_workers_at_2s_jobs": 2150,
            "backlog_100000": {"admit_p99_ms": 3.0, "sweep_s": 0.05, "empty_p99_ms": 2.0},
        }
    )

    assert "| 200 | 99.5 | 0.1 | 3.0 | 400 |" in text
    assert "| the one over the other | 1.5 |" in text
    assert "| at about how many workers | what breaks first | what to do |" in text
    breaks = text.split("what to do |\n")[1].splitlines()[1:]
    assert [line.split(" | ")[0] for line in breaks] == ["| 1700", "| 2200", "| 5000"]


@pytest.mark.parametrize(("number", "rounded"), [(1720, 1700), (2150, 2200), (384, 380), (99, 99)])
def test_a_limit_is_said_to_two_figures(number, rounded):
    assert about(number) == rounded
