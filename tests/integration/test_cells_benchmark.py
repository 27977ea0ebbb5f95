"""`python -m benchmarks.cells`: a cell loses its Redis, its workers and its API, and every accepted edit ends once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cells.places import may_make_namespaces
from tests.patience import PATIENCE


@pytest.mark.parametrize("way", ["in network namespaces", "on loopback"])
def test_what_two_cells_accept_ends_once_whatever_one_of_them_loses(way):
    is_plain = way == "on loopback"
    if not is_plain and (reason := may_make_namespaces()):
        pytest.skip(f"two cells in network namespaces: {reason}")
    command = [sys.executable, "-m", "benchmarks.cells", *(["--plain"] if is_plain else [])]
    # Far more than it takes: where it hangs, the suite goes on.
    ran = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, cwd=Path(__file__).parents[2])
    assert ran.returncode == 0, ran.stderr[-5000:]
    report = json.loads(ran.stdout)

    assert report["namespaces"] is not is_plain
    assert report["accepted"] == report["ended"] == report["succeeded"] > 0
    assert (report["lost"], report["published_twice"], report["told_twice"]) == (0, 0, 0)
    assert report["by_cell"].keys() == {"e1", "e2"}
    assert report["faults"] == ["redis_killed", "workers_cut_off", "api_killed"]
