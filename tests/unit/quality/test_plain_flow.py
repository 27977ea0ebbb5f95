"""The rows of flows in `benchmarks.sampler`: the loops that it compares with, and what they do without."""

import pytest

from benchmarks.plain_flow import PlainFlow
from benchmarks.sampler import Timing
from p2p.edit import edit
from p2p.families.flux import unpacked
from tests import families, tiny_flows
from tests.short_specs import NO_MAPS, OFF, SWAP, spec


@pytest.mark.parametrize("make", [tiny_flows.flux, tiny_flows.sd3], ids=["flux", "sd3"])
def test_the_plain_loop_is_an_edit_without_control(make):
    family, asked = families.of(make()), spec(SWAP | OFF, seed=0, **NO_MAPS)
    loop = PlainFlow(family, asked)
    for index in range(loop.num_steps):
        loop.step(index)
    ours = edit(asked, family).latents
    plain = loop.latents if loop.latents.ndim == 4 else unpacked(loop.latents, *ours.shape[-2:])

    # SD3's negative prompt is encoded once here, and once for each prompt there.
    assert (ours - plain).norm() <= 2e-6 * plain.norm()


def test_a_model_without_an_explicit_form_has_nothing_to_time_of_it():
    assert Timing("cpu", compiled=False).seconds({}) == {}
