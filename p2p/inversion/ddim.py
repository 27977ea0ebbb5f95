"""DDIM inversion: the sampler run backwards (Hertz et al. 2022, section 4; Song et al. 2021, section 4.3)."""

from collections.abc import Generator

import torch
from torch import Tensor

from p2p.inversion.source_run import Found, InversionStep, SourceRun


def ddim(source: SourceRun, latents: Tensor) -> Generator[InversionStep, None, Found]:
    """The picture's noise, and what the sampler makes of it again with the prompt and guidance.

    Guidance drives it off the way back, the more the stronger it is: the source's row is this reconstruction, not the
    picture. Steps rows through the UNet for the way back, and two more each with guidance, one without.

    Args:
        latents: (1, channels, height, width), the picture's.
    """
    total = 2 * source.num_steps
    back = yield from way_back(source, latents, total)
    again = yield from sampled(source, back[:1], total, guided=source.is_guided)
    return Found(noise=back[:1], latents=again)


def way_back(source: SourceRun, latents: Tensor, total: int) -> Generator[InversionStep, None, Tensor]:
    """The picture's latents at every level of noise, (steps + 1, channels, height, width), the noisiest first.

    Without guidance, whatever the run's: with it the way back runs off (Mokady et al. 2022, section 3.2).

    Args:
        total: steps of the whole inversion, of which these are the first.
    """
    path = [latents]
    for index in reversed(range(source.num_steps)):
        path.append(source.way.back(source.plain(path[-1], index), index, path[-1]))
        yield InversionStep(source.num_steps - 1 - index, total)
    return torch.cat(path[::-1])


def sampled(source: SourceRun, noise: Tensor, total: int, *, guided: bool) -> Generator[InversionStep, None, Tensor]:
    """The source after each step from a noise, (steps, channels, height, width); its word maps are noted.

    Args:
        total: steps of the whole inversion, of which these are the last.
    """
    latents, after = noise, []
    for index in range(source.num_steps):
        latents = source.step(source.read(latents, index, guided=guided), index, latents)
        after.append(latents)
        yield InversionStep(total - source.num_steps + index, total)
    return torch.cat(after)
