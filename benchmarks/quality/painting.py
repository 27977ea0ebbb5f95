"""Sampling without attention control: what prompt-to-prompt is compared with paints so."""

from collections.abc import Sequence

import torch
from torch import Tensor

from p2p.families.base import ModelFamily
from p2p.families.conditioning import Conditioning

STEPS, GUIDANCE_SCALE = 20, 3.0
#: Of a quick run, which tells that everything runs and little about quality.
QUICK_STEPS = 6
#: Rows painted at once.
CHUNK = 25


def noise_of(seed: int, family: ModelFamily) -> Tensor:
    """(1, channels, height, width): what a run of this seed starts from."""
    return torch.randn((1, *family.latent_shape(None, None)), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def paint(
    family: ModelFamily,
    prompts: Sequence[str],
    latents: Tensor,
    *,
    steps: int = STEPS,
    first: int = 0,
    source: Tensor | None = None,
    noise: Tensor | None = None,
    may_change: Tensor | None = None,
) -> Tensor:
    """Latents painted from latents, (n, channels, height, width), one prompt each.

    Args:
        latents: at the noise of step `first`.
        source, noise, may_change: blended-latent editing (Avrahami et al. 2023): after each step all but
            `may_change`, (n, 1, height, width) of zeros and ones, is the source at the step's noise.
    """
    painted = []
    for start in range(0, len(prompts), CHUNK):
        rows = slice(start, start + CHUNK)
        x, sampler = latents[rows], family.sampler(steps, None, latents.shape[1:])
        texts = family.encode_prompts(prompts[rows])
        empty = [("", family.encode_negative(""))] * len(x)
        named = list(zip(prompts[rows], texts.rows(), strict=True))
        conditioning = Conditioning.of([*empty, *named], [GUIDANCE_SCALE] * len(x), guided=range(len(x)))
        for index in range(first, steps):
            prediction = family.predict(sampler.seen(x, index), sampler.timestep(index), conditioning)
            x = sampler.step(prediction, index, x, ())
            if may_change is not None and source is not None and noise is not None:
                kept = source[rows]
                if index + 1 < steps:
                    kept = sampler.way_back().noised(kept, index + 1, noise[rows])
                x = torch.where(may_change[rows] > 0, x, kept)
        painted.append(x)
    return torch.cat(painted) if painted else latents[:0]


@torch.no_grad()
def decoded(family: ModelFamily, latents: Tensor) -> list:
    """Pictures of latents, (height, width, 3) uint8 each."""
    pixels = [family.decode(latents[start : start + CHUNK]) for start in range(0, len(latents), CHUNK)]
    return [p for chunk in pixels for p in (chunk * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()]
