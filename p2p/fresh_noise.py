"""Edits that start from noise of their own where a thing was: what the source's noise holds there, does not come back.

The layout of a picture is settled in its starting noise: each part of it decides what stands in its own region (Mao et
al. 2023, arXiv 2305.03382). The source's noise makes the thing that is to go, or another one in its place.
"""

from dataclasses import replace

import torch
from torch import Tensor

from p2p.blend import blend_mask
from p2p.plan import BlendPlan
from p2p.preparation import Prepared


def is_wanted(job: Prepared) -> bool:
    """Whether any of a job's edits starts from noise of its own, and whether that differs from the source's."""
    fresh = job.fresh
    return fresh is not None and bool(((fresh.noise != job.noise).flatten(1).any(1) & fresh.wanted).any())


def starts(job: Prepared, source_maps: Tensor) -> Tensor:
    """What each edit starts from, (targets, channels, height, width): the source's noise, fresh where it may change.

    Args:
        source_maps: (steps, tokens, map_height, map_width), of all tokens and the source's whole run.
    """
    noise = job.noise.expand(len(job.spec.targets), -1, -1, -1)
    if job.fresh is None or job.plan.blend is None or job.maps is None:
        return noise
    maps = job.maps.columns(source_maps).float().mean(0).expand(len(noise) + 1, -1, -1, -1).cpu()
    plan = _by_source(job.plan.blend)
    if plan.held is not None:
        # Where something is held until the blend begins, all else starts afresh.
        later = torch.full_like(plan.first_step, job.plan.steps)
        plan = replace(plan, first_step=torch.where(plan.held.any(1), later, plan.first_step))
    may_change = blend_mask(maps, plan, job.plan.steps - 1, (noise.shape[-2], noise.shape[-1]))
    region = (may_change & job.fresh.wanted[:, None, None])[:, None].to(noise.device)
    return torch.where(region, job.fresh.noise.to(noise), noise)


def _by_source(plan: BlendPlan) -> BlendPlan:
    """A blend by the words of the source alone: before a run, nothing is known of the target's."""
    sides = torch.tensor([1.0, 0.0])[:, None]
    return replace(plan, words=plan.words * sides, subtract_words=plan.subtract_words * sides)
