"""Whether pictures show what their prompts add, as the model itself judges them.

A picture is hidden under noise, and the model says what is behind: once by the edited prompt, once by the source's. If
the new thing is there, the picture lies where the edited prompt leads, and else where the source's does (after
diffusion classifiers, Li et al. 2023, arXiv 2303.16203).
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from p2p.cohort.given import Asked, Given, texts_of
from p2p.plan import EditPlan
from p2p.preparation import Prepared
from p2p.rooms import ASKED_ABOUT, LOOKED_AT
from p2p.samplers.base import Sampler

#: How many passes of the model it takes.
LOOKS = len(LOOKED_AT)
#: Added to a seed for the noise that hides: none that a picture was drawn from.
_HIDES, _SEEDS = 99_000_001, 2**32


def is_known(sampler: Sampler, job: Prepared) -> bool:
    """Whether noise hides what a sampler draws. It does not hide tokens."""
    return sampler.hidden(job.noise, 0, job.noise) is not None


class Presence:
    """Looks at rows of a run after its last step.

    Args:
        sampler: of the run.
        job: of the run; its first row is the source.
        rows: that are looked at.
        latents: clean ones of all rows of the run.
    """

    def __init__(self, sampler: Sampler, job: Prepared, rows: Sequence[int], latents: Tensor) -> None:
        self._sampler, self._rows, self._latents = sampler, rows, latents[list(rows)]
        seed = (job.spec.seeds[0] + _HIDES) % _SEEDS
        noise = torch.randn((LOOKS, *latents.shape[1:]), generator=torch.Generator().manual_seed(seed))
        self._noise = noise.to(latents)
        texts = texts_of(job)
        self._given = Given(
            plan=EditPlan.empty(1, ASKED_ABOUT * len(rows), job.prompts[0].limit),
            maps=None,
            has_source=False,
            texts=[*(texts[row] for row in rows), *([texts[0]] * len(rows))],
            unconditional=(),
            guided=(),
            guidance_scale=job.guidance_scale,
        )
        self._along = self._apart = torch.zeros(len(rows))

    def asked(self, look: int) -> Asked:
        """What a look gives to the model: each picture with its own prompt, then each with the source's."""
        at, noise = self._at(look), self._noise[look : look + 1]
        hidden = cast(Tensor, self._sampler.hidden(self._latents, at, noise))
        self._seen = torch.cat([hidden] * ASKED_ABOUT)
        return Asked(self._given, 0, self._sampler.timestep(at), self._seen)

    def took(self, prediction: Tensor, look: int) -> None:
        """Adds what the model answered."""
        clean = self._sampler.clean(self._seen, prediction, self._at(look)).float()
        own, sources = clean.split(len(self._rows))
        apart = (own - sources).flatten(1)
        along = (self._latents.float() - sources).flatten(1) * apart
        self._along = self._along + along.sum(1).cpu()
        self._apart = self._apart + apart.square().sum(1).cpu()

    def shares(self) -> Mapping[int, float]:
        """Of each row, how far it goes the way from what the source's prompt says, 0, to what its own does, 1."""
        # Prompts that the model does not tell apart add nothing: that is 0.
        found = self._along / self._apart.clamp(min=torch.finfo(torch.float32).tiny)
        return dict(zip(self._rows, found.tolist(), strict=True))

    def _at(self, look: int) -> int:
        steps = self._sampler.num_steps
        return min(round(LOOKED_AT[look] * steps), steps - 1)
