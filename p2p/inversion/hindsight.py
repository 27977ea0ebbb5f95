"""Photos on models that draw tokens: the source draws the photo's tokens, in one pass and without a way back.

The photo comes back as its own tokens, always. What it then differs by is the autoencoder's loss alone.
"""

from collections.abc import Generator

import torch
from torch import Tensor

from p2p.errors import UnsupportedPicture
from p2p.inversion.source_run import Found, InversionStep, SourceRun
from p2p.samplers.token_noise import stacked

#: Entries of the noise that change by less are left as the seed has them: 68 of 8192 a position are kept for a photo
#: that no model made (design: 2.9), and none changes by more than a hundredth.
TOLERANCE = 0.01


def edit_friendly(
    source: SourceRun, latents: Tensor, tolerance: float = TOLERANCE
) -> Generator[InversionStep, None, Found]:
    """The photo's tokens, and the noise with which the sampler would have drawn them: edits are given the same.

    Args:
        latents: (1, 1, height, width), the photo's tokens.
        tolerance: the share of its size up to which an entry of the noise may be left as the seed has it.
    """
    steps = yield from _forced(source, latents, tolerance)
    return Found(
        noise=source.way.start(latents),
        latents=torch.cat([after for after, _ in steps]),
        step_noise=stacked([noise for _, noise in steps]),
    )


def direct(source: SourceRun, latents: Tensor) -> Generator[InversionStep, None, Found]:
    """The photo's tokens as the source's run; edits draw with the seed's own noise, whatever the photo is.

    Args:
        latents: (1, 1, height, width), the photo's tokens.
    """
    steps = yield from _forced(source, latents, TOLERANCE)
    return Found(noise=source.way.start(latents), latents=torch.cat([after for after, _ in steps]))


def _forced(
    source: SourceRun, tokens: Tensor, tolerance: float
) -> Generator[InversionStep, None, list[tuple[Tensor, Tensor]]]:
    """The source's grid after each step, and what is kept of its noise in hindsight."""
    if tokens.is_floating_point():
        raise UnsupportedPicture(
            f"tokens are whole numbers, and {tokens.dtype} was given: give the picture, or its tokens"
        )
    stream = torch.Generator().manual_seed(source.seed)
    state, steps = source.way.start(tokens), []
    for index in range(source.num_steps):
        logits = source.read(state, index, guided=source.is_guided)
        if bool((tokens < 0).any() | (tokens >= logits.shape[1]).any()):
            raise UnsupportedPicture(f"tokens are from 0 to {logits.shape[1] - 1}, and others were given")
        state, noise = source.way.step(logits, index, state, tokens, stream, tolerance)
        steps.append((state, noise))
        yield InversionStep(index, source.num_steps)
    return steps
