"""`python -m benchmarks.recovery --quick`: one kill in each window, each fault once, and nothing accepted is lost."""

import json

import pytest

from tests.programs import printed

WINDOWS = {
    "after_pop",
    "before_start",
    "while_running",
    "mid_upload",
    "before_commit",
    "before_webhook",
    "inside_maintenance",
    "at_random",
    "built_in_model",
    "failover",
}
FAULTS = {
    "redis_restarted",
    "redis_restarted_in_order",
    "s3_failing",
    "s3_slow",
    "connections_reset",
    "connections_stalled",
    "worker_stopped",
}


@pytest.fixture(scope="module")
def report() -> dict:
    """What the benchmark prints; whatever it says beside that is shown where it fails."""
    return json.loads(printed("benchmarks.recovery", "--quick"))


def test_a_process_is_killed_in_every_window_and_every_fault_happens(report):
    ours = report["ours"]

    assert {name: window["kills"] for name, window in ours["by_window"].items()} == dict.fromkeys(WINDOWS, 1)
    assert {name: fault["times"] for name, fault in ours["faults"].items()} == dict.fromkeys(FAULTS, 1)
    assert ours["kills"] == len(WINDOWS)


def test_no_accepted_edit_is_lost_and_none_ends_twice(report):
    for name, counts in (report["ours"]["by_window"] | report["ours"]["faults"]).items():
        assert counts["accepted"] > 0, name
        assert counts["finished"] == counts["accepted"], name
        assert (counts["lost"], counts["published_twice"], counts["outbox_twice"]) == (0, 0, 0), name


def test_every_kill_that_interrupted_something_is_mended(report):
    assert {name: window["felt"] - window["mended"] for name, window in report["ours"]["by_window"].items()} == (
        dict.fromkeys(WINDOWS, 0)
    )


def test_nothing_is_stored_that_no_job_names(report):
    assert {name: window["strays"] for name, window in report["ours"]["by_window"].items()} == dict.fromkeys(WINDOWS, 0)


def test_the_baseline_stands_beside_it_with_its_date_and_command(report):
    assert set(report) == {"ours", "baseline"}
    assert report["baseline"]["command"] == "python -m benchmarks.recovery --stock"
    assert report["baseline"]["date"]
    assert set(report["baseline"]["by_window"]) == WINDOWS - {"at_random", "built_in_model", "failover"}
