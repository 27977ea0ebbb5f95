"""Parity of a model that draws tokens: there is no published implementation, so with an oracle that shares no code."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.parity import load_of
from benchmarks.parity_tokens import cases_of, compare_tokens

FOLDER = Path(__file__).parent / "families" / "tokens"


def test_every_token_of_every_case_and_of_a_photos_edit_is_reproduced():
    report = compare_tokens(load_of(FOLDER), FOLDER)

    assert report["noise_is_the_seeds"], "this machine draws other exponentials than MKL on x86: no case can be equal"
    assert {name: case for name, case in report["cases"].items() if case["tokens_that_differ_on_the_way"]} == {}
    assert report["tokens_that_differ"] == 0
    # Fused attention against written-out probabilities: 7e-7 to 9e-7 (README.md). A wrong site differs by 1e-2.
    assert report["worst_relative_l2"] <= 1e-5
    assert list(report["cases"]) == [case["name"] for case in cases_of(FOLDER)["cases"]] + ["inversion"]


def test_a_case_with_a_field_that_is_not_known_is_an_error(tmp_path):
    cases = json.loads((FOLDER / "cases.json").read_text())
    cases["cases"][3]["word_order"] = "reversed"
    shutil.copy(FOLDER / "expected.npz", tmp_path)
    (tmp_path / "cases.json").write_text(json.dumps(cases))

    with pytest.raises(ValueError, match=r"word_order is not a field that benchmarks\.parity reads"):
        cases_of(tmp_path)
