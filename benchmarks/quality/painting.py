"""Sampling without attention control: what prompt-to-prompt is compared with paints so."""

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.quality.given import GIVEN
from p2p.families.base import ModelFamily
from p2p.families.conditioning import Conditioning
from p2p.sampling import noise_streams

#: The defaults of `scenes` in the models file; other models are asked for their own.
STEPS, GUIDANCE_SCALE = 20, 3.0
#: Of a quick run, which tells that everything runs and little about quality.
QUICK_STEPS = 6
#: Rows painted at once.
CHUNK = 25


def noise_of(seed: int, family: ModelFamily) -> Tensor:
    """(1, channels, height, width): what a run of this seed starts from."""
    shape = family.latent_shape(None, None)
    return family.sampler(STEPS, None, shape).start(shape, noise_streams(seed, 1))


@torch.no_grad()
def paint(
    family: ModelFamily,
    prompts: Sequence[str],
    states: Tensor,
    seeds: Sequence[int],
    *,
    steps: int = STEPS,
    guidance_scale: float = GUIDANCE_SCALE,
    first: int = 0,
    source: Tensor | None = None,
    may_change: Tensor | None = None,
    step_noise: Sequence[Tensor | None] | None = None,
) -> Tensor:
    """States painted from states, (n, channels, height, width), one prompt each: latents, or grids of tokens.

    Args:
        states: before step `first`.
        seeds: one for each, of what its steps draw.
        source, may_change: blended-latent editing (Avrahami et al. 2023): after each step all but `may_change`,
            (n, 1, height, width) of zeros and ones, is the source as it stands before the next step.
        step_noise: for each, (steps, ...) what an inversion found, instead of what the steps would draw.
    """
    painted = []
    for start in range(0, len(prompts), CHUNK):
        rows = slice(start, start + CHUNK)
        x, streams = states[rows], [noise_streams(seed, 1) for seed in seeds[rows]]
        # A sampler and a stream for each: rows that share one draw the same.
        samplers = [family.sampler(steps, None, states.shape[1:]) for _ in streams]
        found = step_noise[rows] if step_noise else [None] * len(x)
        texts = family.encode_prompts(prompts[rows])
        empty = [("", family.encode_negative(""))] * len(x)
        named = list(zip(prompts[rows], texts.rows(), strict=True))
        conditioning = Conditioning.of([*empty, *named], [guidance_scale] * len(x), guided=range(len(x)))
        for index in range(first, steps):
            seen = torch.cat([s.seen(row[None], index) for s, row in zip(samplers, x, strict=True)])
            prediction = family.predict(seen, samplers[0].timestep(index), conditioning)
            x = torch.cat(
                [
                    sampler.step(prediction[n : n + 1], index, x[n : n + 1], stream, noise=_of_step(noise, index))
                    for n, (sampler, stream, noise) in enumerate(zip(samplers, streams, found, strict=True))
                ]
            )
            if may_change is not None and source is not None:
                kept = [
                    GIVEN[family.state](sampler, row[None], index + 1, seed)
                    for sampler, row, seed in zip(samplers, source[rows], seeds[rows], strict=True)
                ]
                x = torch.where(may_change[rows] > 0, x, torch.cat(kept))
        painted.append(x)
    return torch.cat(painted) if painted else states[:0]


def _of_step(noise: Tensor | None, index: int) -> Tensor | None:
    return None if noise is None else noise[index : index + 1]


@torch.no_grad()
def decoded(family: ModelFamily, latents: Tensor) -> list:
    """Pictures of latents, (height, width, 3) uint8 each."""
    pixels = [family.decode(latents[start : start + CHUNK]) for start in range(0, len(latents), CHUNK)]
    return [p for chunk in pixels for p in (chunk * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()]
