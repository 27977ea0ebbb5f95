"""The method with explicit probabilities, as processors: what the fused form is measured against.

Every layer writes its attention matrix, edits it, and multiplies it with the values, like every public
prompt-to-prompt; nothing is stored, which they do on top.
"""

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl, Controlled
from p2p.attention.sites import AttentionSite, Keys, Levels


class ExplicitAttention:
    """One site's processor for one job whose rows begin after `first` unconditional ones."""

    def __init__(
        self, site: AttentionSite, job: Controlled, first: int, levels: Levels, control: AttentionControl
    ) -> None:
        self.site, self.job, self.first, self.levels, self.control = site, job, first, levels, control

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
        cross, step = self.job.plan.cross, self.control.step
        source = probs[self._source]
        for index, target in enumerate(self.job.rows.targets):
            own = probs[self.first + target]
            arrays = (cross.mapper[index], cross.alphas[index], cross.equalizer[index], cross.schedule[step, index])
            mapper, alphas, equalizer, schedule = (array.to(own.dtype) for array in arrays)
            injected = (source @ mapper + (1 - alphas) * own) * equalizer
            probs[self.first + target] = schedule * injected + (1 - schedule) * own

    def _self(self, probs: Tensor) -> None:
        if self.site.factor < self.levels.self_attention:
            return
        for index, target in enumerate(self.job.rows.targets):
            if self.job.plan.self_schedule[self.control.step, index]:
                probs[self.first + target] = probs[self._source]
