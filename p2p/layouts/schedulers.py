"""The class of each scheduler that a run can be asked for, by name; `p2p.schedulers` has the classes themselves.

A model may come with another class. Then one that is close to it runs in its place, and that is said: in the log of
the workers, in `models check`, in `GET /v1/models`, and in a notice of each edit that names no scheduler.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from p2p.spec import SchedulerName

SCHEDULER_CLASSES: Mapping[SchedulerName, str] = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "dpm_solver_multistep": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_ancestral": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "lcm": "LCMScheduler",
    "pndm": "PNDMScheduler",
    "unipc": "UniPCMultistepScheduler",
}

#: What runs in the place of a class that is not handled: of the same kind of equation (ODE, or with noise at each step)
#: and the same kind of solver, made of the other one's configuration. What is not here is refused: flows, EDM, TCD.
SUBSTITUTES: Mapping[str, SchedulerName] = {
    "DDIMParallelScheduler": "ddim",
    "DDPMParallelScheduler": "ddpm",
    # diffusers 0.42 computes its coefficients with numpy, which no GPU's tensors go into.
    "DEISMultistepScheduler": "dpm_solver_multistep",
    "DPMSolverSDEScheduler": "euler_ancestral",
    "DPMSolverSinglestepScheduler": "dpm_solver_multistep",
    "KDPM2AncestralDiscreteScheduler": "euler_ancestral",
    "KDPM2DiscreteScheduler": "heun",
    "LMSDiscreteScheduler": "euler",
}


@dataclass(frozen=True)
class Substitution:
    """A scheduler that runs in the place of a model's own, which nobody has asked for.

    Attributes:
        own: the class of the model's own.
        by: the name of the one that runs.
    """

    own: str
    by: SchedulerName

    def __str__(self) -> str:
        return f"{self.own}, the model's own scheduler, is not handled, and {self.by} runs in its place"


def substitution(kinds: tuple[str, ...], handled: tuple[str, ...]) -> Substitution | None:
    """What runs in the place of a model's own scheduler; None if that is handled, or nothing is close to it.

    Args:
        kinds: the scheduler's class, and where they are known, its bases.
        handled: the classes that the model's family handles.
    """
    if set(kinds) & set(handled):
        return None
    return next((Substitution(kinds[0], SUBSTITUTES[kind]) for kind in kinds if kind in SUBSTITUTES), None)
