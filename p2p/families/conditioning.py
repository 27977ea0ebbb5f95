"""What the rows of a batch are conditioned on, and how their guidance is combined where it is rows of the batch."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from p2p.families.encoded import Encoded, joined

#: What guidance makes of outputs without the prompt, of those with it, (rows, channels, height, width) each, and of
#: the scales, (rows, 1, 1, 1).
Guidance = Callable[[Tensor, Tensor, Tensor], Tensor]


def classifier_free(without: Tensor, rows: Tensor, scale: Tensor) -> Tensor:
    """Ho and Salimans 2021, equation 6."""
    return without + scale * (rows - without)


@dataclass(frozen=True)
class Mixed:
    """A row whose prediction goes from another row's towards its own: 0 is all of the other, 1 its own.

    Attributes:
        row, without: numbers of rows.
        weight: how far.
    """

    row: int
    without: int
    weight: float


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Encoded prompts of the rows of a batch, and how strongly each is guided.

    The batch is the unconditional rows, one for each row that is guided and in their order, then the rows themselves.

    Attributes:
        texts: (unconditional + rows). Always the same value in a run: layers keep what they made of its context.
        guidance_scale: (rows,), on the CPU.
        prompts: of each row of the batch the number of its prompt, as they first appear.
        guided: the rows that have an unconditional row. `ModelFamily.guides` decides which do.
        mixed: predictions that are mixed before they are guided; several of one row add up.
    """

    texts: Encoded
    guidance_scale: Tensor
    prompts: tuple[int, ...]
    guided: tuple[int, ...] = ()
    mixed: tuple[Mixed, ...] = ()

    @classmethod
    def of(
        cls,
        texts: Sequence[tuple[Hashable, Encoded]],
        guidance_scale: Sequence[float],
        guided: Sequence[int] = (),
        mixed: Sequence[Mixed] = (),
    ) -> "Conditioning":
        """The conditioning of a batch by its rows: the name of each one's text, and what it encodes to.

        Rows of one name have one encoding. A name may be the prompt, or anything else that tells texts apart.
        """
        numbers: dict[Hashable, int] = {}
        prompts = tuple(numbers.setdefault(prompt, len(numbers)) for prompt, _ in texts)
        return cls(
            joined([encoded for _, encoded in texts]),
            torch.tensor(guidance_scale),
            prompts,
            tuple(guided),
            tuple(mixed),
        )

    @cached_property
    def _scale(self) -> Tensor:
        return self.guidance_scale[list(self.guided)][:, None, None, None].to(self.texts.context.device)

    @cached_property
    def _guided_rows(self) -> Tensor:
        return torch.tensor(self.guided, dtype=torch.long, device=self.texts.context.device)

    def batch(self, rows: Tensor) -> Tensor:
        """What belongs to the rows, (rows, ...), for the whole batch: (unconditional + rows, ...)."""
        everyone = len(self.guided) == len(rows)
        return torch.cat([rows if everyone else rows.index_select(0, self._guided_rows), rows])

    def combine(self, output: Tensor, by: Guidance = classifier_free) -> Tensor:
        """The guided output of the rows, of the model's for the batch.

        Args:
            by: how a row's output and the one of its unconditional row make the guided one.
        """
        without, rows = output[: len(self.guided)], self._mix(output[len(self.guided) :])
        if not self.guided:
            return rows
        scale = self._scale.to(output.dtype)
        if len(self.guided) == len(rows):
            return by(without, rows, scale)
        guided = by(without, rows.index_select(0, self._guided_rows), scale)
        return rows.index_copy(0, self._guided_rows, guided)

    def _mix(self, rows: Tensor) -> Tensor:
        if not self.mixed:
            return rows
        made = rows.clone()
        for mix in self.mixed:
            made[mix.row] += (mix.weight - 1) * (rows[mix.row] - rows[mix.without])
        return made
