"""Edit-friendly inversion: noise for every step of a sampler that adds noise (Huberman-Spiegelglas et al. 2023)."""

from collections.abc import Generator

import torch
from torch import Tensor

from p2p.inversion.source_run import Found, InversionStep, SourceRun


def edit_friendly(source: SourceRun, latents: Tensor) -> Generator[InversionStep, None, Found]:
    """Noises that make the sampler, at eta 1, come to the picture; edits are given the same ones.

    The picture is noised to every level independently of the others, and each step's noise is what is then missing
    from the step before to the step after. These noises hold more of the picture's layout than those a sampler draws.
    No way back is needed: one guided pass.

    Args:
        latents: (1, channels, height, width), the picture's.
    """
    # On the CPU, so that a seed means the same noise on every device.
    stream = torch.Generator().manual_seed(source.seed)
    levels = []
    for index in range(source.num_steps):
        drawn = torch.randn(latents.shape, generator=stream).to(latents)
        levels.append(source.way.noised(latents, index, drawn))
    current, after, noises = levels[0], [], []
    for index in range(source.num_steps):
        output = source.read(current, index, guided=source.is_guided)
        expected = source.way.mean(output, index, current)
        wanted, scale = [*levels[1:], latents][index], source.way.deviation(index)
        # A last step that ends without noise (`set_alpha_to_one`) can be given none; the source still ends in the
        # picture, for its latents are kept.
        noises.append((wanted - expected) / scale if scale > 0 else torch.zeros_like(wanted))
        # What the sampler will make of the noise, so that what half precision rounds away is not lost but passed on.
        current = expected + scale * noises[-1] if scale > 0 else wanted
        after.append(current)
        yield InversionStep(index, source.num_steps)
    return Found(noise=levels[0], latents=torch.cat(after), step_noise=torch.cat(noises))
