"""The class of each scheduler that a run can be asked for, by name; `p2p.schedulers` has the classes themselves."""

from collections.abc import Mapping

from p2p.spec import SchedulerName

SCHEDULER_CLASSES: Mapping[SchedulerName, str] = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "dpm_solver_multistep": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_ancestral": "EulerAncestralDiscreteScheduler",
    "lcm": "LCMScheduler",
    "pndm": "PNDMScheduler",
}
