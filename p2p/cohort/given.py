"""What one job gives to a forward pass, and what it gets back."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from p2p.attention.maps import AttentionMaps
from p2p.families.conditioning import Mixed
from p2p.families.encoded import Encoded
from p2p.plan import EditPlan
from p2p.preparation import Prepared

#: A row's text: a name that tells it from all other texts of the pass, and its encoding, one row.
Text = tuple[Hashable, Encoded]


def texts_of(job: Prepared) -> list[Text]:
    """The texts of a job's rows.

    Rows of one name share their keys and values. Jobs never share a name: a prompt that is encoded beside others may be
    rounded otherwise, and a job must not depend on its neighbours.
    """
    return [((job, words.prompt), row) for words, row in zip(job.prompts, job.text.rows(), strict=True)]


def texts_beside(job: Prepared) -> list[Text]:
    """The texts of the rows that are drawn beside a job's pictures."""
    return [((job, row.drawn.prompt), text) for row, text in zip(job.beside, job.texts_beside, strict=True)]


def mixed_in(job: Prepared, first: int) -> tuple[Mixed, ...]:
    """Which rows are mixed with those beside the pictures, which come behind the last target's.

    Args:
        first: the number of the first target's row.
    """
    behind = first + len(job.spec.targets)
    return tuple(Mixed(first + row.target, behind + number, row.weight) for number, row in enumerate(job.beside))


def seen_beside(job: Prepared, seen: Tensor, first: int) -> Tensor:
    """Rows as the model gets them, with those beside the pictures behind them: each sees what its picture is."""
    if not job.beside:
        return seen
    return torch.cat([seen, seen[[first + row.target for row in job.beside]]])


def away_from(job: Prepared, unconditional: Encoded) -> Text:
    """The text that a job's rows are guided away from.

    Its name is no prompt: a target may have the words of the negative prompt, which another embedding may replace.
    """
    return (job, None), unconditional


@dataclass(frozen=True, eq=False, kw_only=True)
class Given:
    """The rows of one job: the same value for as long as nothing but their latents changes.

    Attributes:
        plan: of the job.
        maps: where its word maps are gathered; None if nothing reads them.
        has_source: whether the first row is the source's; the others are the targets'.
        texts: of each row.
        unconditional: of each guided row, what it is guided away from.
        guided: the numbers of those rows.
        guidance_scale: of all rows.
        mixed: rows whose predictions are mixed with those of the last `beside` rows, which are no pictures.
    """

    plan: EditPlan
    maps: AttentionMaps | None
    has_source: bool
    texts: Sequence[Text]
    unconditional: Sequence[Text]
    guided: tuple[int, ...]
    guidance_scale: float
    mixed: tuple[Mixed, ...] = ()

    @property
    def beside(self) -> int:
        """How many of the last rows are no pictures."""
        return len(self.mixed)

    @property
    def rows(self) -> int:
        """How many rows the model sees of it."""
        return len(self.texts) + len(self.unconditional)


@dataclass(frozen=True, eq=False)
class Asked:
    """One step of one job, before the model is called.

    Attributes:
        given: its rows.
        index: of the step, from 0.
        timestep: (), of its own sampler.
        seen: (len(given.texts), channels, height, width), as the model gets its latents.
    """

    given: Given
    index: int
    timestep: Tensor
    seen: Tensor


@dataclass(frozen=True, eq=False)
class Answer:
    """The model's answer to one job.

    Attributes:
        prediction: (len(given.texts), ...), the guided output.
        maps: the step's word maps, (rows, tokens, height, width); None if none were read.
    """

    prediction: Tensor
    maps: Tensor | None
