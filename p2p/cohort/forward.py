"""One forward pass of the model for the rows of several jobs, with the control of their attention.

Its layout is made again only when a job joins, leaves, or changes its rows; what the attention does, when a window of
some job opens or closes.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from p2p.attention.control import AttentionControl, Controlled, PairRows
from p2p.attention.installing import controlled
from p2p.cohort.given import Answer, Asked, Given
from p2p.families.base import ModelFamily
from p2p.families.conditioning import Conditioning, Mixed

#: Makes the attention processors of a control, as `ModelFamily.attention_processors` does.
Processors = Callable[[AttentionControl], Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class _Layout:
    """The rows of a pass.

    Attributes:
        given: of each job.
        arrangement: on which the control depends.
    """

    given: Sequence[Given]
    arrangement: object
    conditioning: Conditioning
    control: AttentionControl
    processors: Mapping[str, Any]


class ForwardPass:
    """The forward passes of jobs that share them.

    Args:
        processors: of the family, or others to compare with.
    """

    def __init__(self, family: ModelFamily, processors: Processors | None = None) -> None:
        self._family, self._processors = family, processors or family.attention_processors
        self._layout: _Layout | None = None

    def __call__(self, asked: Sequence[Asked]) -> list[Answer]:
        """The model's answer to each job. Changes no job: after an error the same step can be asked for again."""
        try:
            return self._answers(asked)
        except BaseException:
            self._layout = None  # with the maps that some layers had read
            raise

    def _answers(self, asked: Sequence[Asked]) -> list[Answer]:
        layout = self._layout = self._laid_out([each.given for each in asked], asked[0].seen)
        layout.control.at_steps([each.index for each in asked])
        counts = [len(each.given.texts) for each in asked]
        # As float32: jobs' schedulers count in whole numbers or not, and a network makes float32 of either.
        timesteps = [each.timestep.reshape(1).float().expand(rows) for each, rows in zip(asked, counts, strict=True)]
        # Installed for the model's call alone: a caller that stops between steps leaves nothing behind.
        with controlled(self._family.attention_layers, layout.processors):
            seen = _joined([each.seen for each in asked])
            output = self._family.predict(seen, _joined(timesteps), layout.conditioning)
        return [Answer(*each) for each in zip(output.split(counts), layout.control.step_maps(), strict=True)]

    def _laid_out(self, given: Sequence[Given], like: Tensor) -> _Layout:
        """The layout of before as far as it holds, and the rest anew."""
        before = self._layout
        if before and len(given) == len(before.given) and all(map(operator.is_, given, before.given)):
            return before
        firsts = [sum(len(one.texts) for one in given[:number]) for number in range(len(given))]
        unconditional = [text for one in given for text in one.unconditional]
        conditioning = Conditioning.of(
            [*unconditional, *(text for one in given for text in one.texts)],
            [one.guidance_scale for one in given for _ in one.texts],
            guided=[first + row for one, first in zip(given, firsts, strict=True) for row in one.guided],
            mixed=[
                Mixed(first + mix.row, first + mix.without, mix.weight)
                for one, first in zip(given, firsts, strict=True)
                for mix in one.mixed
            ],
        )
        size = like.shape[-2], like.shape[-1]
        # An unconditional embedding may change with every step (null-text inversion). That alone moves no row.
        arrangement = [(one.plan, one.has_source) for one in given], conditioning.prompts, size
        if before and arrangement == before.arrangement:
            return replace(before, given=given, conditioning=conditioning)
        control = AttentionControl(
            [Controlled(one.plan, _pair(first, one), one.maps) for one, first in zip(given, firsts, strict=True)],
            self._family.map_factor,
            size,
            prompts=conditioning.prompts,
            unconditional=len(unconditional),
            device=self._family.device,
        )
        return _Layout(given, arrangement, conditioning, control, self._processors(control))


def _pair(first: int, given: Given) -> PairRows:
    targets = first + given.has_source
    rows = tuple(range(targets, first + len(given.texts)))
    return PairRows(first if given.has_source else None, rows, given.beside)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))
