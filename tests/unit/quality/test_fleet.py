"""The benchmark of a fleet: its formula, its table, and how workers are divided among processes."""

import pytest

from benchmarks.fleet.fleet import shares
from benchmarks.fleet.limit import limit
from benchmarks.fleet.table import about
from benchmarks.table import tables

COSTS = {
    "core_share": 0.1,
    "jobs_per_s": 50.0,
    "workers": 100,
    "idle_core_share": 0.0,
    "connections": 2,
    "most": 10_000,
}


def test_a_core_that_is_a_tenth_busy_carries_ten_times_as_many_workers():
    assert limit(**COSTS).workers == 1000
    assert limit(**COSTS).by == "core"


def test_a_worker_that_is_there_costs_as_well_as_its_jobs():
    # All of the cost is one of being there: how long jobs are is no matter.
    found = limit(**{**COSTS, "jobs_per_s": 1.0, "idle_core_share": 0.001})

    assert found.workers == 1000


def test_fewer_jobs_at_the_same_cost_are_dearer_ones():
    assert limit(**{**COSTS, "jobs_per_s": 25.0}).workers == 500


def test_where_connections_are_fewer_they_are_the_limit():
    found = limit(**{**COSTS, "connections": 20})

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
            "backlog_100000": {"admit_p99_ms": 2.0, "sweep_s": 0.05},
        }
    )

    assert "| 200 | 99.5 | 0.1 | 3.0 | 400 |" in text
    assert "| at about how many workers | what breaks first | what to do |" in text
    breaks = text.split("what to do |\n")[1].splitlines()[1:]
    assert [line.split(" | ")[0] for line in breaks] == ["| 1700", "| 2200", "| 5000"]


@pytest.mark.parametrize(("number", "rounded"), [(1720, 1700), (2150, 2200), (384, 380), (99, 99)])
def test_a_limit_is_said_to_two_figures(number, rounded):
    assert about(number) == rounded
