"""A model whose scheduler is not handled runs with a close one in its place, or is refused."""

from pathlib import Path

import diffusers
import pytest
import torch

from p2p.edit import edit
from p2p.errors import UnsupportedModel
from p2p.families import load
from p2p.layouts.schedulers import SCHEDULER_CLASSES, SUBSTITUTES
from p2p.schedulers import SCHEDULERS
from tests.json_files import changed
from tests.short_specs import NO_MAPS, SWAP, spec
from tests.unit.p2p.test_layouts import FAMILY

pytestmark = pytest.mark.needs("latents")


def test_the_schedulers_that_are_known_without_torch_are_those_that_run():
    assert {name: kind.__name__ for name, kind in SCHEDULERS.items()} == SCHEDULER_CLASSES


def _with_scheduler(model: Path, saved: Path, kind: str) -> Path:
    changed(model / "scheduler/scheduler_config.json", _class_name=kind)
    changed(model / "model_index.json", scheduler=["diffusers", kind])
    return model


def test_a_scheduler_that_nothing_is_close_to_is_refused_and_replaced_where_one_is_named(model, saved):
    _with_scheduler(model, saved, "EDMEulerScheduler")

    with pytest.raises(UnsupportedModel, match=r'EDMEulerScheduler.*say `scheduler = "ddim"`'):
        load(FAMILY, str(model))
    replaced = edit(spec(SWAP, **NO_MAPS), load(FAMILY, str(model), scheduler="euler"))
    own = edit(spec(SWAP, sampling={"scheduler": "euler"}, **NO_MAPS), load(FAMILY, str(saved)))
    assert replaced.scheduler == "euler"
    assert torch.equal(replaced.latents, own.latents)


@pytest.mark.parametrize(("kind", "by"), SUBSTITUTES.items())
def test_a_scheduler_that_is_not_handled_is_replaced_by_a_close_one_and_that_is_said(model, saved, caplog, kind, by):
    """LMS needs scipy and the SDE solver torchsde, which are not installed: their classes are not even looked at."""
    family = load(FAMILY, str(_with_scheduler(model, saved, kind)))

    made = edit(spec(SWAP, **NO_MAPS), family)
    asked = edit(spec(SWAP, sampling={"scheduler": by}, **NO_MAPS), load(FAMILY, str(saved)))
    assert made.scheduler == by
    assert torch.equal(made.latents, asked.latents)
    assert f"{kind}, the model's own scheduler, is not handled, and {by} runs in its place" in caplog.text


#: What needs a package that is not installed: diffusers has a stand-in, which has no configuration.
NOT_INSTALLED = {"DPMSolverSDEScheduler": "torchsde", "LMSDiscreteScheduler": "scipy"}


@pytest.mark.filterwarnings("ignore:__array_wrap__")  # diffusers' own, while it makes a KDPM2
@pytest.mark.parametrize(("kind", "by"), [(kind, by) for kind, by in SUBSTITUTES.items() if kind not in NOT_INSTALLED])
def test_a_scheduler_is_replaced_also_where_its_configuration_says_how_it_solves(model, kind, by):
    """As diffusers saves it, with the names of its own algorithm and solver."""
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    getattr(diffusers, kind)(**betas).save_pretrained(model / "scheduler")
    changed(model / "model_index.json", scheduler=["diffusers", kind])

    made = edit(spec(SWAP, **NO_MAPS), load(FAMILY, str(model)))

    assert made.scheduler == by
    assert made.latents.isfinite().all()


def test_what_takes_the_place_of_a_scheduler_is_one_that_runs_and_takes_no_place_of_its_own():
    assert set(SUBSTITUTES.values()) <= SCHEDULERS.keys()
    assert not set(SUBSTITUTES) & set(SCHEDULER_CLASSES.values())


def test_a_flow_under_a_solvers_name_is_refused(model, saved):
    """UniPC runs flows as well: what is close to it for diffusion is not close to it for these."""
    changed(_with_scheduler(model, saved, "UniPCMultistepScheduler") / "scheduler/scheduler_config.json",
            prediction_type="flow_prediction", use_flow_sigmas=True)  # fmt: skip

    with pytest.raises(UnsupportedModel, match="prediction_type flow_prediction"):
        load(FAMILY, str(model))


def test_a_scheduler_that_diffusers_cannot_load_here_is_replaced_too(model):
    """LMS needs scipy, which is not installed: diffusers has a stand-in in its place that compares with nothing."""
    changed(model / "scheduler/scheduler_config.json", _class_name="LMSDiscreteScheduler")
    changed(model / "model_index.json", scheduler=["diffusers", "LMSDiscreteScheduler"])

    family = load(FAMILY, str(model), scheduler="euler")

    assert edit(spec(SWAP, **NO_MAPS), family).scheduler == "euler"
