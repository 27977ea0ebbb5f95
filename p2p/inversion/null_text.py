"""Null-text inversion: an unconditional embedding for every step, optimised until guidance leads back to the picture
(Mokady et al. 2022, section 3)."""

from collections.abc import Generator

import torch
from torch import Tensor
from torch.nn import functional

from p2p.errors import UnsupportedInversion
from p2p.inversion.ddim import way_back
from p2p.inversion.source_run import Found, InversionStep, SourceRun

#: The published code's learning rate falls from this by a hundredth of it a step, to half in its 50 steps.
LEARNING_RATE = 1e-2
#: The published code lets the loss at which a step is good enough rise by this with every step.
TOLERANCE_PER_STEP = 2e-5


def null_text(
    source: SourceRun, latents: Tensor, *, inner_steps: int = 10, tolerance: float = 1e-5
) -> Generator[InversionStep, None, Found]:
    """The picture's noise, and what to guide away from at each step so that the guided source is the picture.

    Optimised with Adam, each step from the embedding of the step before, until the mean squared error is below
    `tolerance` (plus 2e-5 a step) or for `inner_steps` iterations; the defaults are the paper's.

    Args:
        latents: (1, channels, height, width), the picture's.
    Raises:
        UnsupportedInversion: there is no guidance, so no unconditional embedding acts.
    """
    if not source.is_guided:
        raise UnsupportedInversion(
            f"null-text inversion needs guidance, and its scale is {source.guidance_scale:g}: "
            "ask for more than 1, or for another inversion"
        )
    each = inner_steps + 1
    total = source.num_steps * (1 + each)
    back = yield from way_back(source, latents, total)
    current, embedding = back[:1], source.unconditional.context.float()
    after, embeddings = [], []
    for index in range(source.num_steps):
        done = source.num_steps + index * each
        conditional = source.read(current, index, guided=False)
        target = back[index + 1 : index + 2]
        optimised = _Optimised(source, embedding, index)
        for inner in range(inner_steps):
            loss = optimised.improve(current, conditional, target)
            yield InversionStep(done + inner, total)
            if loss < tolerance + index * TOLERANCE_PER_STEP:
                break
        embedding = optimised.embedding.detach()
        embeddings.append(embedding.to(source.text.context.dtype))
        away = source.unconditional.with_context(embeddings[-1])
        output = _guided(source.plain(current, index, away), conditional, source.guidance_scale)
        current = source.step(output, index, current)
        after.append(current)
        yield InversionStep(done + each - 1, total)
    away = source.unconditional.with_context(torch.cat(embeddings))
    return Found(noise=back[:1], latents=torch.cat(after), unconditional=away)


class _Optimised:
    """The embedding of one step on its way; in float32, in which Adam's small steps are not lost."""

    def __init__(self, source: SourceRun, start: Tensor, index: int) -> None:
        self.source, self.index = source, index
        self.embedding = start.clone().requires_grad_()
        # Beyond 50 steps, where the published rule would come to nothing, the rate still ends at half.
        falling = 1 - index / max(100, 2 * source.num_steps)
        self.optimizer = torch.optim.Adam([self.embedding], lr=LEARNING_RATE * falling)

    def improve(self, latents: Tensor, conditional: Tensor, target: Tensor) -> float:
        """One iteration; the mean squared error before it."""
        with torch.enable_grad():
            text = self.source.unconditional.with_context(self.embedding.to(conditional.dtype))
            output = self.source.differentiable(latents, self.index, text)
            guided = _guided(output, conditional, self.source.guidance_scale)
            reached = self.source.step(guided, self.index, latents)
            # The sum, not the mean: its gradients are larger by the number of values, and float16 ends at 6e-8.
            loss = functional.mse_loss(reached.float(), target.float(), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, self.embedding)
        self.embedding.grad = gradient / target.numel()
        self.optimizer.step()
        return loss.item() / target.numel()


def _guided(unconditional: Tensor, conditional: Tensor, guidance_scale: float) -> Tensor:
    return unconditional + guidance_scale * (conditional - unconditional)
