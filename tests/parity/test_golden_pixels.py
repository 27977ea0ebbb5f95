"""Parity of models of pixels with runs whose joint probabilities were explicit, as `python -m benchmarks.parity`."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.parity import load_of
from benchmarks.parity_specs import cases_of, compare_specs

FOLDERS = {name: Path(__file__).parent / "families" / name for name in ("if", "unclip")}


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_every_golden_case_is_reproduced(folder):
    family = load_of(folder)
    report = compare_specs(family, folder)

    # Fused against explicit probabilities differs by 1e-6 to 3e-6 (each folder's README.md); a wrong column or a window
    # off by a step, by 1e-2 and more.
    assert {name: case["relative_l2"] for name, case in report["cases"].items() if case["relative_l2"] > 1e-4} == {}
    assert list(report["cases"]) == [
        case["name"] for case in cases_of(folder, getattr(family, "settings", {}))["cases"]
    ]


def test_a_folder_with_a_field_that_is_not_known_is_an_error(tmp_path):
    cases = json.loads((FOLDERS["if"] / "cases.json").read_text())
    shutil.copy(FOLDERS["if"] / "expected.npz", tmp_path)
    (tmp_path / "cases.json").write_text(json.dumps(cases | {"prior": {}}))

    with pytest.raises(ValueError, match=r"prior is not a field that benchmarks\.parity reads"):
        cases_of(tmp_path, {})
