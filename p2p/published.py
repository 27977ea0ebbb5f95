"""The published method of joint attention, compiled from a spec: `p2p.attention.published` says what it is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from p2p.attention.maps import AttentionMaps, RecentMaps
from p2p.edits import in_window
from p2p.errors import UnsupportedSampling
from p2p.plan import EditPlan, PublishedPlan
from p2p.spec import EditSpec, Reference
from p2p.tokens import TokenizedPrompt


@runtime_checkable
class HasPublished(Protocol):
    """A family whose model the published method is for."""

    #: Whether it widens the regions of words by a cell: SD3 does, FLUX does not.
    published_widens: bool


def with_published(plan: EditPlan, spec: EditSpec, prompts: Sequence[TokenizedPrompt], family: object) -> EditPlan:
    """A plan with the published method, where a spec asks for it.

    Raises:
        UnsupportedSampling: it is not for this model.
    """
    asked = spec.reference
    if asked is None or not spec.targets:
        return plan
    if not isinstance(family, HasPublished):
        raise UnsupportedSampling(
            "`reference` is for models whose words and pictures share one attention: leave it out"
        )
    made = PublishedPlan(
        method=asked.method,
        schedule=in_window(asked.steps, plan.steps, compat=True),
        blocks=None if asked.blocks is None else frozenset(asked.blocks),
        read_blocks=None if asked.read_blocks is None else frozenset(asked.read_blocks),
    )
    blend = plan.blend
    if blend is not None:
        steps, (start, stop) = plan.steps, _bounds(asked, plan.steps)
        read = _read(asked, prompts[0])
        first = torch.where(blend.first_step < steps, start, steps)
        blend = replace(
            blend,
            words=blend.words * read,
            subtract_words=blend.subtract_words * read,
            first_step=first,
            last_step=torch.full_like(first, stop),
            smoothed=True,
            widened=family.published_widens,
        )
    return replace(plan, blend=blend, published=made)


def maps_of(spec: EditSpec, steps: int, tokens: Sequence[int] | None, of_source: Tensor | None) -> AttentionMaps:
    """What a run's maps are gathered in."""
    if spec.reference is None:
        return AttentionMaps(tokens, of_source)
    return RecentMaps(range(*_bounds(spec.reference, steps)), spec.reference.blended_steps, tokens, of_source)


def _bounds(asked: Reference, steps: int) -> tuple[int, int]:
    inside = in_window(asked.blend_steps, steps, compat=True).nonzero().flatten().tolist()
    return (inside[0], inside[-1] + 1) if inside else (0, 0)


def _read(asked: Reference, prompt: TokenizedPrompt) -> Tensor:
    """(positions,) 1 where the tokens are of the tokenizer that is asked for."""
    limits = [segment.limit for segment in prompt.segments]
    chosen = {"both": limits, "clip": limits[:1] + [0] * (len(limits) - 1), "t5": [0] * (len(limits) - 1) + limits[-1:]}
    return torch.cat(
        [torch.full((limit,), float(bool(of))) for limit, of in zip(limits, chosen[asked.tokenizer], strict=True)]
    )
