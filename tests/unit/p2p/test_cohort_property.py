"""Whatever jobs join, leave and are canceled, and when: each is bit for bit what it is alone."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.cohort.cohort import Cohort
from p2p.edit import EditResult, edit, edit_again_steps
from p2p.schedulers import SCHEDULERS
from p2p.spec import EditSpec
from p2p.stepping import result_of
from tests.cohorts import packed
from tests.short_specs import BLEND, OFF, REFINE, SWAP, spec

pytestmark = pytest.mark.needs("latents")


@pytest.fixture(scope="module")
def family(build):
    return packed(build)


@pytest.fixture(scope="module")
def alone(family):
    """What jobs are by themselves, by their spec; once from a source that is generated, once from one that is kept."""

    @cache
    def fresh(body: str) -> EditResult:
        return edit(EditSpec.model_validate_json(body), family, keep=True)

    @cache
    def again(body: str) -> EditResult:
        return result_of(edit_again_steps(EditSpec.model_validate_json(body), family, fresh(body).trajectory))

    return lambda made, kept: (again if kept else fresh)(made.model_dump_json())


WINDOWS = st.fixed_dictionaries(
    {},
    optional={"cross_window": st.sampled_from([{"stop": 0.5}, {"start": 0.3}]), "self_window": st.just({"stop": 0.6})},
)
TARGETS = st.builds(lambda kind, window: kind | window, st.sampled_from([SWAP, REFINE, BLEND, SWAP | OFF]), WINDOWS)
#: Few values each, so that what a job is alone is often known already.
JOBS = st.builds(
    lambda targets, steps, scale, seed, name: spec(
        *targets, steps=steps, guidance_scale=scale, seed=seed, sampling={"scheduler": name}
    ),
    st.lists(TARGETS, min_size=1, max_size=2),
    st.integers(2, 5),
    st.sampled_from([1.0, 5.0]),
    st.integers(0, 2),
    st.sampled_from(list(SCHEDULERS)),
)
#: In which turn a job joins, whether its source is kept, and after how many turns it is canceled, if it is.
ARRIVALS = st.tuples(st.integers(0, 6), st.booleans(), st.none() | st.integers(0, 4), JOBS)


@given(st.lists(ARRIVALS, min_size=2, max_size=6))
@settings(deadline=None, max_examples=20)
def test_a_job_is_the_same_alone_and_in_any_cohort(family, alone, arrivals):
    cohort, results, arrived, canceled, number = Cohort(family), {}, {}, {}, 0
    waiting = list(arrivals)
    while waiting or cohort.members:
        for arrival in [arrival for arrival in waiting if arrival[0] <= number]:
            waiting.remove(arrival)
            _, kept, stop, made = arrival
            member = cohort.join(made, kept=alone(made, False).trajectory if kept else None)
            arrived[member] = made, kept
            if stop is not None:
                canceled.setdefault(number + stop, []).append(member)
        if cohort.members:
            turn = cohort.turn()
            assert not turn.errors
            results.update(turn.results)
        for member in canceled.pop(number, []):
            cohort.leave(member)
        number += 1

    for member, result in results.items():
        expected = alone(*arrived[member])
        assert torch.equal(result.latents, expected.latents)
        for one, other in zip(result.maps, expected.maps, strict=True):
            assert all((a.map == b.map).all() for a, b in zip(one, other, strict=True))
