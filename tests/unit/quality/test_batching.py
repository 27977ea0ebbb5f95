"""The benchmark of shared forward passes: its two sides, its figures, and its proposal."""

import json
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.batching.__main__ import without_device
from benchmarks.batching.cases import BATCHED, CASES, SCENES, SERIAL, models_file
from benchmarks.batching.measuring import Ended, furthest, pauses
from jobs.catalogue import load_catalogue
from p2p.spec import EditSpec
from tests.programs import printed


def test_both_sides_are_the_same_model_but_for_max_rows(tmp_path):
    found = load_catalogue(models_file(SCENES, tmp_path))

    assert (found[SERIAL].max_rows, found[BATCHED].max_rows) == (None, SCENES.max_rows)
    assert found[SERIAL].model_copy(update={"id": BATCHED, "max_rows": SCENES.max_rows}) == found[BATCHED]


def test_its_jobs_are_guided_pairs_of_default_steps():
    spec = EditSpec.model_validate(SCENES.edit(SERIAL, 3))

    assert (len(spec.targets), spec.sampling.steps, spec.seeds) == (1, None, (3,))


def test_a_stream_asks_for_four_fifths_of_what_a_worker_can_do():
    between = pauses(20_000, 2.0)

    # The mean of so many exponential draws is within 3 % of what is expected, four times its deviation.
    assert np.mean(between) == pytest.approx(2.0 / 0.8, rel=0.03)
    assert between[:5] == pauses(5, 2.0)


def test_times_are_those_of_the_records():
    def edit(accepted: int, ended: int) -> dict:
        return {"created_at": f"2026-01-01T00:00:{accepted:02}Z", "finished_at": f"2026-01-01T00:00:{ended:02}+00:00"}

    ended = Ended([edit(0, 10), edit(1, 4), edit(2, 30)])

    assert (ended.seconds, ended.median_latency) == (30, 10)


def test_the_largest_difference_is_that_of_one_value():
    one, other = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    other[1, 1, 2] = 0.25

    assert furthest([one, one], [one, other]) == 0.25


def test_without_a_gpu_its_rows_say_so():
    rows = [row for case in CASES["cuda"] for row in without_device(case)]

    assert [(row["model"], row["size"]) for row in rows] == [("sd15", 512), ("sdxl", 1024)]
    assert all(row["missing"] and row["throughput_to_serial"] is None for row in rows)


def test_a_number_of_rows_is_proposed():
    (row,) = json.loads(printed("benchmarks.batching", "--calibrate", "--quick"))["rows"]
    rows = [each["rows"] for each in row["measured"]]
    assert row["max_rows"] in rows
    assert all(one < other for one, other in pairwise(rows))
