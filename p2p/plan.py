"""The plan of a run: every edit as tensors. Printable, comparable, and knowing no model and no edit kind.

Replace, refine and reweight are one formula over the attention probabilities of a pixel (source row P0, target row
Pi), with four arrays that differ between them (Hertz et al. 2022, section 3.2):

    injected = (P0 @ mapper + (1 - alphas) * Pi) * equalizer
    edited   = schedule[step] * injected + (1 - schedule[step]) * Pi

It is linear in P0 and in Pi, so it needs neither of them: with A = mapper * (schedule * equalizer) over columns and
B = schedule * equalizer * (1 - alphas) + 1 - schedule,

    edited @ v = P0 @ (A @ v) + Pi @ (B * v)

which is two fused attention calls with the edit folded into the values.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossAttentionEdit:
    """What is carried over from the source's cross-attention, for all targets of one source.

    Attributes:
        mapper: (targets, source_tokens, target_tokens); column n: where target token n takes its attention from.
        alphas: (targets, target_tokens); 1 takes the source's map, 0 keeps the target's own.
        equalizer: (targets, target_tokens); 1 leaves a token as strong as it is.
        schedule: (steps, targets, target_tokens); 1 where the token's map is carried over at that step.
        mass_matched: of each target, whether text's whole share of the attention stays the target's own, where pixels
            and text share one softmax (`p2p.attention.joint`); empty if of none.
    """

    mapper: Tensor
    alphas: Tensor
    equalizer: Tensor
    schedule: Tensor
    mass_matched: tuple[bool, ...] = ()

    def folded(self, step: int) -> tuple[Tensor, Tensor]:
        """A (targets, source_tokens, target_tokens) and B (targets, target_tokens) of the formula above."""
        injected = self.schedule[step] * self.equalizer
        return self.mapper * injected[:, None], injected * (1 - self.alphas) + 1 - self.schedule[step]


@dataclass(frozen=True, kw_only=True, eq=False)
class BlendPlan:
    """Which maps say where each target may differ from its source.

    Attributes:
        words, subtract_words: (targets, 2, tokens) of zeros and ones: the named tokens of the source (0) and of the
            target (1).
        threshold, subtract_threshold: (targets,), shares of a map's maximum.
        first_step: (targets,), the first step after which latents are blended; beyond the run for no blend.
        within: (targets, height, width) bool, of the latents' size: outside, nothing may change whatever the maps say.
            None if no target is bounded so.
        last_step: (targets,), the first step after which latents are blended no more; None if they are to the end.
        smoothed: whether maps are smoothed first, as the published method of joint attention does.
        widened: whether the words' region is widened by a cell on each side.
        held: (targets, tokens), tokens of the source whose region is kept until a blend begins; None if none is.
    """

    words: Tensor
    subtract_words: Tensor
    threshold: Tensor
    subtract_threshold: Tensor
    first_step: Tensor
    within: Tensor | None = None
    last_step: Tensor | None = None
    smoothed: bool = False
    widened: bool = True
    held: Tensor | None = None

    def of_targets(self, targets: Tensor) -> "BlendPlan":
        """The same plan for some of its targets, by their numbers."""
        of_them: dict[str, Any] = {
            name: value[targets] for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **of_them)

    def of_tokens(self, columns: Callable[[Tensor, int], Tensor]) -> "BlendPlan":
        """The same plan for maps that hold some of the tokens only: `columns` picks them from an axis."""
        held = None if self.held is None else columns(self.held, 1)
        return replace(self, words=columns(self.words, 2), subtract_words=columns(self.subtract_words, 2), held=held)

    def to(self, device: torch.device | str) -> "BlendPlan":
        """The same plan with its tensors on a device."""
        moved: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedPlan:
    """The published method of joint attention (`p2p.attention.published`), which knows no words.

    Attributes:
        method: a row of `p2p.attention.published.METHODS`.
        schedule: (steps,) bool: whether targets take something of the source at that step.
        blocks: in which they do; None for all.
        read_blocks: in which maps are read; None for all.
    """

    method: str
    schedule: Tensor
    blocks: frozenset[int] | None
    read_blocks: frozenset[int] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class EditPlan:
    """Everything that attention control does in a run of `steps` steps.

    Attributes:
        cross: what is carried over between text and picture.
        self_schedule: (steps, targets) bool: whether the target's self-attention is the source's at that step.
        blend: None if no target asks for it.
        published: None if the published method of joint attention is not asked for.
    """

    steps: int
    cross: CrossAttentionEdit
    self_schedule: Tensor
    blend: BlendPlan | None
    published: PublishedPlan | None = None

    @cached_property
    def cross_phases(self) -> list[int]:
        """Of every step the number of its phase: what is carried over between text and picture changes with it."""
        return phases(self.cross.schedule)

    @cached_property
    def self_phases(self) -> list[int]:
        """The same of the self-attention."""
        return phases(self.self_schedule)

    @classmethod
    def empty(cls, steps: int, targets: int, tokens: int) -> "EditPlan":
        """A plan that changes nothing: every row keeps its own attention."""
        ones = torch.ones(targets, tokens)
        cross = CrossAttentionEdit(
            mapper=torch.eye(tokens).expand(targets, -1, -1),
            alphas=ones,
            equalizer=ones,
            schedule=torch.zeros(steps, targets, tokens),
        )
        return cls(steps=steps, cross=cross, self_schedule=torch.zeros(steps, targets, dtype=torch.bool), blend=None)


def phases(schedule: Tensor) -> list[int]:
    """Of every step the number of its phase, from a (steps, ...) schedule: steps of one phase are alike in all."""
    together = schedule.flatten(1).float()
    changed = (together[1:] != together[:-1]).any(1)
    return [0, *changed.cumsum(0).tolist()]
