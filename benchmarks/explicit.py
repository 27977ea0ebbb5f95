"""The method with explicit probabilities, as processors: what the fused form is measured against.

Every layer writes its attention matrix, edits it, and multiplies it with the values, like every public
prompt-to-prompt; nothing is stored, which they do on top.
"""

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl, Controlled
from p2p.attention.sites import AttentionSite, Keys


class ExplicitAttention:
    """One site's processor for one job whose rows begin after `first` unconditional ones."""

    def __init__(self, site: AttentionSite, job: Controlled, first: int, control: AttentionControl) -> None:
        self.site, self.job, self.first, self.control = site, job, first, control
        self._moved: tuple[Tensor, ...] | None = None

    def __call__(self, attn, hidden_states: Tensor, encoder_hidden_states=None, attention_mask=None, **_) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        projected = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        q, k, v = (t.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for t in projected)
        probs = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, -1)
        (self._cross if self.site.keys is Keys.TEXT else self._self)(probs)
        return attn.to_out[1](attn.to_out[0]((probs @ v).transpose(1, 2).flatten(2)))

    @property
    def _source(self) -> int:
        """The source's row of the batch; this form edits no source that was kept."""
        assert self.job.rows.source is not None
        return self.first + self.job.rows.source

    def _cross(self, probs: Tensor) -> None:
        (step,) = self.control.steps
        mappers, alphas, equalizers, schedules = self._arrays(probs)
        source = probs[self._source]
        for index, target in enumerate(self.job.rows.targets):
            own = probs[self.first + target]
            injected = (source @ mappers[index] + (1 - alphas[index]) * own) * equalizers[index]
            probs[self.first + target] = schedules[step, index] * injected + (1 - schedules[step, index]) * own

    def _arrays(self, probs: Tensor) -> tuple[Tensor, ...]:
        # Moved once a run: a copy to a GPU at every call would wait for it, and be charged to the explicit form.
        if self._moved is None:
            cross = self.job.plan.cross
            self._moved = tuple(a.to(probs) for a in (cross.mapper, cross.alphas, cross.equalizer, cross.schedule))
        return self._moved

    def _self(self, probs: Tensor) -> None:
        if not self.site.is_carried:
            return
        for index, target in enumerate(self.job.rows.targets):
            if self.job.plan.self_schedule[self.control.steps[0], index]:
                probs[self.first + target] = probs[self._source]
