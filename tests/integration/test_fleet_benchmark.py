"""`python -m benchmarks.fleet --quick`: small fleets and a short queue, and nothing accepted is lost."""

import json

import pytest

from tests.programs import printed


@pytest.fixture(scope="module")
def report() -> dict:
    """What the benchmark prints. Its status is 1 where an edit was lost or ended twice."""
    return json.loads(printed("benchmarks.fleet", "--quick"))


def test_it_says_what_was_asked_of_it(report):
    assert list(report) == [
        "workers",
        "idle_commands_per_s_per_worker",
        "limit_workers_at_2s_jobs",
        "backlog_100000",
    ]
    for row in report["workers"]:
        assert list(row) == ["workers", "jobs_per_s", "redis_core_share", "begin_p99_ms", "connections"]
    assert list(report["backlog_100000"]) == ["admit_p99_ms", "sweep_s", "empty_p99_ms"]


def test_fleets_work_and_cost_redis_something(report):
    assert [row["workers"] for row in report["workers"]] == [4, 20]
    for row in report["workers"]:
        assert row["jobs_per_s"] > 0
        assert 0 < row["redis_core_share"] < 1
    assert report["limit_workers_at_2s_jobs"] > 20


def test_a_worker_has_two_connections(report):
    """One to take messages and one for records; a second thread may need one more for a moment."""
    for row in report["workers"]:
        assert row["workers"] < row["connections"] <= 3 * row["workers"]
