"""Negative-prompt inversion: the source's prompt in the negative prompt's place (Miyake et al. 2023)."""

from collections.abc import Generator

from torch import Tensor

from p2p.errors import UnsupportedInversion
from p2p.inversion.ddim import sampled, way_back
from p2p.inversion.source_run import Found, InversionStep, SourceRun


def negative_prompt(source: SourceRun, latents: Tensor) -> Generator[InversionStep, None, Found]:
    """The picture's noise; the source and its edits are guided away from the source's own prompt.

    Guidance is then nothing for the source's row, which stays as near as a run without guidance does. What null-text
    inversion optimises for is in places near this embedding: same idea, no optimisation.

    Args:
        latents: (1, channels, height, width), the picture's.
    Raises:
        UnsupportedInversion: there is a negative prompt, whose place is taken.
    """
    if source.negative_prompt:
        raise UnsupportedInversion(
            f"negative-prompt inversion takes the place of the negative prompt {source.negative_prompt!r}: "
            "leave it out, or ask for another inversion"
        )
    total = 2 * source.num_steps
    back = yield from way_back(source, latents, total)
    again = yield from sampled(source, back[:1], total, guided=False)
    return Found(noise=back[:1], latents=again, unconditional=source.text)
