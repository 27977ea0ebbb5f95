"""`python -m benchmarks.cells`: a cell loses its Redis, its workers and its API, and every accepted edit ends once."""

import json

from benchmarks.cells.places import may_make_namespaces
from tests.programs import printed


def test_what_two_cells_accept_ends_once_whatever_one_of_them_loses():
    """In network namespaces where this user may make them, else on loopback."""
    is_plain = bool(may_make_namespaces())
    report = json.loads(printed("benchmarks.cells", *(["--plain"] if is_plain else [])))

    assert report["namespaces"] is not is_plain
    assert report["accepted"] == report["ended"] == report["succeeded"] > 0
    assert (report["lost"], report["published_twice"], report["told_twice"]) == (0, 0, 0)
    assert report["by_cell"].keys() == {"e1", "e2"}
    assert report["faults"] == ["redis_killed", "workers_cut_off", "api_killed"]
