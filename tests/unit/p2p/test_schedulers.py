"""A run with the scheduler that was asked for."""

from typing import get_args

import pytest
import torch
from diffusers import EulerDiscreteScheduler

from p2p.edit import edit, edit_batch_steps
from p2p.errors import UnsupportedSampling
from p2p.preparation import sampler_of
from p2p.schedulers import SCHEDULERS
from p2p.spec import SchedulerName
from p2p.stepping import result_of
from p2p.trajectory import key_of
from tests import families
from tests.short_specs import NO_MAPS, SWAP, spec

pytestmark = pytest.mark.needs("latents")


def asking_for(name: str | None, **sampling):
    return spec(SWAP, sampling={"scheduler": name, **sampling}, **NO_MAPS)


def key(family, name: str | None) -> str:
    made = asking_for(name)
    return key_of(made, family, sampler_of(made, family))


def test_a_spec_can_name_every_scheduler_that_the_sampler_supports():
    assert SCHEDULERS.keys() == set(get_args(SchedulerName))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_that_is_asked_for_runs_as_if_it_were_the_models_own(build, family, name):
    pipeline = build()
    pipeline.scheduler = SCHEDULERS[name].from_config(pipeline.scheduler.config, skip_prk_steps=True)
    own = families.of(pipeline)

    asked, plain = edit(asking_for(name), family), edit(asking_for(None), own)

    assert asked.scheduler == plain.scheduler == name
    assert torch.equal(asked.latents, plain.latents)


@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_what_takes_the_place_of_one_that_says_nothing_of_clipping_does_not_clip(build, name):
    pipeline = build()
    pipeline.scheduler = EulerDiscreteScheduler(beta_schedule="scaled_linear")

    scheduler = families.of(pipeline).scheduler(4, name)

    assert (scheduler.config.clip_sample, scheduler.config.beta_schedule) == (False, "scaled_linear")


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_every_scheduler_makes_few_steps(family, name, steps):
    assert edit(asking_for(name, steps=steps), family).latents.isfinite().all()


def test_the_models_own_scheduler_runs_where_none_is_asked_for(family):
    assert edit(asking_for(None), family).scheduler == "ddim"


def test_steps_that_a_scheduler_cannot_make_are_refused_by_name(family):
    with pytest.raises(UnsupportedSampling, match="lcm cannot make 60 steps"):
        edit(asking_for("lcm", steps=60), family)


def test_specs_of_different_schedulers_share_a_batch(family):
    together = result_of(edit_batch_steps([asking_for(None), asking_for("euler")], family))

    assert [result.scheduler for result in together] == ["ddim", "euler"]


def test_a_kept_source_is_another_one_under_another_scheduler(family):
    assert key(family, "euler") != key(family, "ddim")


def test_a_kept_source_is_the_same_one_whether_the_models_own_scheduler_was_named_or_not(family):
    assert key(family, None) == key(family, "ddim")
