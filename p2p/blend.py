"""Local blend: outside the named words' regions, latents are the source's (Hertz et al., revised)."""

import torch
from torch import Tensor
from torch.nn import functional

from p2p.plan import BlendPlan

#: The share of its map's maximum above which a thing is held (docs/automatic.md).
HELD = 0.4


def local_blend(latents: Tensor, maps: Tensor, plan: BlendPlan, step: int) -> Tensor:
    """Latents after a step with each target's blend applied.

    Args:
        latents: (1 + targets, channels, height, width), the source first.
        maps: (1 + targets, tokens, map_height, map_width), the running mean (or sum: only shares of the maximum count).
        plan: whose maps, and how much of them.
        step: the step that has just been done.
    Returns:
        New latents; a target whose blend has not begun is as it was.
    """
    mask = blend_mask(maps, plan, step, (latents.shape[-2], latents.shape[-1]))
    source = latents[:1]
    # In the latents' own dtype: a float mask would turn half-precision latents into float.
    blended = source + mask[:, None].to(latents.dtype) * (latents[1:] - source)
    return torch.cat([source, blended])


def blend_mask(maps: Tensor, plan: BlendPlan, step: int, size: tuple[int, int]) -> Tensor:
    """Where each target may differ from its source after a step, (targets, height, width) bool.

    The words' region without the subtracted words', inside of what bounds it; where no word is named, all of that.
    """
    if plan.smoothed:
        maps = smoothed(maps)
    may_change = region(maps, plan.words, plan.threshold, size, widened=plan.widened)
    may_change |= (plan.words.sum((1, 2)) == 0)[:, None, None]
    must_not = region(maps, plan.subtract_words, plan.subtract_threshold, size, widened=False)
    mask = may_change & ~must_not
    if plan.within is not None:
        mask &= plan.within
    mask = torch.where((plan.first_step > step)[:, None, None], _before(maps, plan, size, mask), mask)
    return mask if plan.last_step is None else mask | (plan.last_step <= step)[:, None, None]


def _before(maps: Tensor, plan: BlendPlan, size: tuple[int, int], like: Tensor) -> Tensor:
    """Where targets may differ before their blends begin: everywhere, but where something is held."""
    if plan.held is None:
        return torch.ones_like(like)
    held = torch.stack([plan.held, torch.zeros_like(plan.held)], 1)
    share = torch.full_like(plan.threshold, HELD)
    return ~region(maps, held, share, size, widened=False)


def smoothed(maps: Tensor) -> Tensor:
    """Maps, (pictures, tokens, height, width), under a Gaussian of seven cells a side and a deviation of one.

    As the published method of joint attention has it, zeros around the maps included: those of large models are noisy.
    """
    places = torch.arange(-3, 4, device=maps.device, dtype=maps.dtype)
    bell = torch.exp(-places.square() / 2)
    kernel = (bell / bell.sum())[:, None] * (bell / bell.sum())
    return functional.conv2d(maps.flatten(0, 1)[:, None], kernel[None, None], padding=3).reshape(maps.shape)


def region(maps: Tensor, words: Tensor, threshold: Tensor, size: tuple[int, int], *, widened: bool) -> Tensor:
    """Where the named tokens of the source or of the target are above a share of their maximum.

    Args:
        maps: as in `local_blend`.
        words: (targets, 2, tokens), of the source (0) and of the target (1).
        threshold: (targets,).
        size: of the latents.
        widened: whether the map is first widened by a cell on each side.
    Returns:
        (targets, height, width) bool.
    """
    source = maps[:1].expand(len(words), *maps.shape[1:])
    both = maps.new_zeros((len(words), 2, *maps.shape[-2:]))
    for side, of in enumerate((source, maps[1:])):
        both[:, side] = (of * words[:, side, :, None, None]).sum(1)
    if widened:
        both = functional.max_pool2d(both, 3, stride=1, padding=1)
    both = functional.interpolate(both, size=size)  # nearest, as published
    # A side that names no word is zero everywhere: the floor keeps it out of the region instead of dividing by zero.
    shares = both / both.amax((-2, -1), keepdim=True).clamp(min=torch.finfo(both.dtype).tiny)
    return (shares > threshold[:, None, None, None]).any(1)
