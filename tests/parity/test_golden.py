"""Parity with published implementations: their own outputs, by the same code as `python -m benchmarks.parity`."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.parity import cases_of, compare, load_of

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
FOLDERS = {"stable_diffusion": GOLDEN, "stable_diffusion_xl": HERE / "families" / "sdxl"}


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_every_golden_case_is_reproduced(folder):
    report = compare(load_of(folder), folder)

    # The reference against itself with fused attention differs by 1e-6 to 6e-6 (each folder's README.md); a wrong
    # column of a mapper, a window off by a step or a wrong pooled vector differs by 1e-2 and more.
    assert {name: case["relative_l2"] for name, case in report["cases"].items() if case["relative_l2"] > 1e-4} == {}
    assert list(report["cases"]) == [case["name"] for case in cases_of(folder)["cases"]]


def test_a_case_with_a_field_that_is_not_known_is_an_error(tmp_path):
    cases = json.loads((GOLDEN / "cases.json").read_text())
    cases["cases"][3]["word_order"] = "reversed"
    shutil.copy(GOLDEN / "expected.npz", tmp_path)
    (tmp_path / "cases.json").write_text(json.dumps(cases))

    with pytest.raises(ValueError, match=r"word_order is not a field that benchmarks\.parity reads"):
        cases_of(tmp_path)
