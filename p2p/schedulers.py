"""The schedulers that a run can be asked for, by the names that a spec gives them (`p2p.spec.SchedulerName`)."""

from collections.abc import Mapping
from typing import Any

from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    UnCLIPScheduler,
    UniPCMultistepScheduler,
)

from p2p.errors import UnsupportedSampling
from p2p.spec import SchedulerName

#: Those compared with the plain pipeline in the tests: a model call for each of their timesteps, of which Heun has two
#: a step, and noise from a given generator.
SCHEDULERS: Mapping[SchedulerName, Any] = {
    "ddim": DDIMScheduler,
    "ddpm": DDPMScheduler,
    "dpm_solver_multistep": DPMSolverMultistepScheduler,
    "euler": EulerDiscreteScheduler,
    "euler_ancestral": EulerAncestralDiscreteScheduler,
    "heun": HeunDiscreteScheduler,
    "lcm": LCMScheduler,
    "pndm": PNDMScheduler,
    "unipc": UniPCMultistepScheduler,
}

#: Those whose step reads a variance that the model predicts beside the noise (Nichol and Dhariwal 2021).
_WITH_VARIANCE = (DDPMScheduler, UnCLIPScheduler)

#: What a scheduler gets that takes another one's place. PNDM otherwise begins with Runge-Kutta steps: twelve more
#: model calls, and none at all below four steps. Stable Diffusion's own configuration leaves them out as well.
_IN_PLACE_OF_ANOTHER: Mapping[SchedulerName, Mapping[str, Any]] = {"pndm": {"skip_prk_steps": True}}
#: What it gets where the other one's configuration does not say. These two clip by default, as if of pixels, which
#: latents are not: `StableDiffusionPipeline` forbids it to whatever scheduler it is made with.
_WHERE_UNSAID: Mapping[SchedulerName, Mapping[str, Any]] = {
    "ddim": {"clip_sample": False},
    "ddpm": {"clip_sample": False},
}
#: What a configuration says of its own solver's ways, by names that another solver has for others: DEIS saves itself as
#: the algorithm "deis" with the solver "logrho", which DPM-Solver refuses.
_OF_ITS_SOLVER = frozenset({"algorithm_type", "solver_type"})


def fresh(own: Any, name: SchedulerName | None, steps: int, device: Any) -> Any:
    """A scheduler with its timesteps set: the model's own, or another one made of its configuration.

    Raises:
        UnsupportedSampling: it cannot make so many steps of this model.
    """
    # Models may bring a subclass of their own, which counts as what it derives from.
    if name is None or isinstance(own, SCHEDULERS[name]):
        scheduler = type(own).from_config(own.config)
    else:
        scheduler = in_place_of_another(own.config, name)
    try:
        scheduler.set_timesteps(steps, device=device)
    except ValueError as error:
        message = f"{name_of(scheduler)} cannot make {steps} steps of this model: ask for fewer, or another scheduler"
        raise UnsupportedSampling(message) from error
    return scheduler


def in_place_of_another(config: Mapping[str, Any], name: SchedulerName) -> Any:
    """A scheduler made of another one's configuration."""
    unsaid = {field: value for field, value in _WHERE_UNSAID.get(name, {}).items() if field not in config}
    shared = {field: value for field, value in config.items() if field not in _OF_ITS_SOLVER}
    return SCHEDULERS[name].from_config(shared, **_IN_PLACE_OF_ANOTHER.get(name, {}), **unsaid)


def takes_variance(scheduler: Any) -> bool:
    """Whether a scheduler's step is given the variance that a model predicts, in channels behind the others."""
    said = scheduler.config.get("variance_type") or ""
    return isinstance(scheduler, _WITH_VARIANCE) and said.startswith("learned")


def name_of(scheduler: Any) -> str:
    """The name by which a spec asks for a scheduler; its class's where none does."""
    found = (name for name, kind in SCHEDULERS.items() if isinstance(scheduler, kind))
    return next(found, type(scheduler).__name__)
