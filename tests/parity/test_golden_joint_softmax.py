"""Layers whose pixels attend to text and pixels in one softmax: the control against explicit probabilities."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.golden_cases import relative_l2
from p2p.attention.control import AttentionControl, Controlled, PairRows
from p2p.attention.sites import AttentionSite, Keys
from p2p.plan import CrossAttentionEdit, EditPlan

FOLDER = Path(__file__).parent / "families" / "joint-softmax"
ARRAYS = np.load(FOLDER / "golden.npz")
CASES = json.loads(ARRAYS["cases.json"].tobytes())


def array(case, name):
    key = f"{case['name']}/{name}"
    return torch.from_numpy(ARRAYS[key]) if key in ARRAYS else None


def control_of(case):
    """The control of a case's plan. The columns in front of the prompt's are the site's matter, not the plan's."""
    front = case["leading_columns"]
    mapper = array(case, "mapper")
    assert torch.equal(mapper[:, :front, :front], torch.eye(front).expand(len(mapper), -1, -1))
    alphas, equalizer, active = (array(case, name)[:, front:] for name in ("alphas", "equalizer", "active"))
    plan = EditPlan(
        steps=1,
        cross=CrossAttentionEdit(
            mapper=mapper[:, front:, front:], alphas=alphas, equalizer=equalizer, schedule=active[None].float()
        ),
        self_schedule=torch.tensor(case["carried"])[None],
        blend=None,
    )
    first = case["unconditional_rows"]
    rows = PairRows(case["source_row"] - first, tuple(row - first for row in case["target_rows"]))
    control = AttentionControl([Controlled(plan, rows)], 1, (4, 4), unconditional=first)
    control.at_step(0)
    return control


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_layer_gives_what_explicit_probabilities_give(case):
    control, mask = control_of(case), array(case, "mask")
    pixels = None if case["only_cross_attention"] else (array(case, "k_image"), array(case, "v_image"))
    keys = Keys.BOTH if pixels else Keys.TEXT
    site = AttentionSite("site", keys, 1, is_carried=pixels is not None, leading=case["leading_columns"])
    text = array(case, "k_text"), array(case, "v_text")

    k, v = control.text_projections(site, torch.zeros(len(text[0]), 1), lambda rows: text)
    bias = None if mask is None else torch.where(mask[:, None], 0.0, -10000.0)
    out = control.attend(site, array(case, "q"), k, v, pixels, bias)

    assert len(k) <= case["sdpa_rows"]
    # Explicit probabilities in float32 are 2e-7 off those in float64 (README.md); a row that is normalised again, 5e-2.
    assert relative_l2(out, array(case, "expected")) <= 1e-5


def test_the_golden_file_has_every_kind_of_case():
    assert {case["kind"] for case in CASES} >= {"replace", "refine", "reweight", "none"}
    assert any(case["leading_columns"] for case in CASES)
    assert any(case["only_cross_attention"] for case in CASES)
