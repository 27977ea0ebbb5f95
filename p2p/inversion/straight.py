"""Photos on flows without a way back: the source goes the straight line from noise to picture (Kulikov et al. 2024).

Their FlowEdit takes the picture along by the difference of two velocities, the edit's at the edited picture and the
source's at the line. With one noise for all steps that is, to rounding, an edit that starts from this noise and is
given at each step what the source's own step misses the line by. So it is a kept source, and its attention is carried
over as any other's.
"""

from collections.abc import Generator

import torch
from torch import Tensor

from p2p.inversion.source_run import Found, InversionStep, SourceRun


def straight(source: SourceRun, latents: Tensor, offset: bool = True) -> Generator[InversionStep, None, Found]:
    """The line as the source's run, and what its steps miss it by; one pass.

    Edits are guided as the source is here. FlowEdit guides them more than the source, so that there a prompt that
    stays as it was gives another picture.

    Args:
        latents: (1, channels, height, width), the picture's.
        offset: whether edits are given what is missed. Without, they go where the noise alone leads them.
    """
    # On the CPU, so that a seed means the same noise on every device.
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(source.seed)).to(latents)
    line = [source.way.noised(latents, index, noise) for index in range(source.num_steps)] + [latents]
    missed = []
    for index in range(source.num_steps):
        output = source.read(line[index], index, guided=offset and source.is_guided)
        missed.append(line[index + 1] - source.step(output, index, line[index]))
        yield InversionStep(index, source.num_steps)
    return Found(noise=line[0], latents=torch.cat(line[1:]), offset=torch.cat(missed) if offset else None)
