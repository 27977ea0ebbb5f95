"""Direct inversion: the source's row is put back onto the inversion's way after every step (Ju et al. 2023)."""

from collections.abc import Generator

from torch import Tensor

from p2p.inversion.ddim import way_back
from p2p.inversion.source_run import Found, InversionStep, SourceRun


def direct(source: SourceRun, latents: Tensor) -> Generator[InversionStep, None, Found]:
    """The way back itself as the source's run: it ends in the picture, whatever the guidance.

    The published code notes by how much a guided run misses the way back at each step and adds that to the source's
    row. A kept source needs no prediction of its own latents, so here they are simply taken. The second pass, without
    guidance, is for the word maps, which the way back shows at the wrong level of noise.

    Args:
        latents: (1, channels, height, width), the picture's.
    """
    total = 2 * source.num_steps
    back = yield from way_back(source, latents, total)
    for index in range(source.num_steps):
        source.read(back[index : index + 1], index, guided=False)
        yield InversionStep(source.num_steps + index, total)
    return Found(noise=back[:1], latents=back[1:])
