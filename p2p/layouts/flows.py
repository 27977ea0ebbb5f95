"""What layouts of flows have in common. The keys are those of diffusers 0.42's configurations."""

from collections.abc import Mapping

from p2p.layouts.base import Handled, Parts

#: What `p2p.samplers.flow` computes; other sigmas are other schedules.
SCHEDULER: Mapping[str, Handled] = {
    "invert_sigmas": (False,),
    "shift_terminal": (None,),
    "stochastic_sampling": (False,),
    "use_beta_sigmas": (False,),
    "use_exponential_sigmas": (False,),
    "use_karras_sigmas": (False,),
}
#: Latents are shifted by `shift_factor` and scaled by `scaling_factor`, and by nothing else.
VAE: Mapping[str, Handled] = {"latents_mean": (None,), "latents_std": (None,), "shift_factor": float}
SCHEDULER_KIND = ("FlowMatchEulerDiscreteScheduler",)
MENDS = {
    "scheduler": "this model follows a flow and has a scheduler of its own: take `scheduler` out of its table of the "
    "models file, and set `path` to a model with a FlowMatchEulerDiscreteScheduler"
}


def cell(parts: Parts) -> int:
    """The autoencoder halves a picture between its blocks, and two by two latents are a position."""
    return 2 ** len(parts["vae"].config.get("block_out_channels", range(4)))
