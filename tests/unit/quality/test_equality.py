"""`benchmarks.equality` finds runs equal that are, and tells runs apart that are not."""

import torch

from benchmarks.equality import OTHERS, SWAP, apart, family, measured, spec
from p2p.edit import edit


def test_runs_that_should_be_equal_are_on_this_machine():
    row = measured("cpu", torch.float32)

    assert row["repeated"] == row["empty_plan_to_plain"] == row["device_to_cpu"] == 0
    # Other batch shapes choose other kernels, which round differently: the bounds of docs/attention.md.
    assert row["beside_others_to_alone"] <= 1e-5
    assert row["reedit_to_fresh"] <= 1e-4


def test_another_edit_of_the_same_source_is_not_equal():
    model = family("cpu", torch.float32)
    swap, other = (edit(spec(target), model).latents for target in (SWAP, OTHERS[0]))

    assert apart(swap, other) > 0.01
