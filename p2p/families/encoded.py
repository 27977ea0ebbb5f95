"""Encoded texts: what a family makes of prompts, handed around by those that must not look inside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Encoded:
    """Texts as a model reads them, a row for each.

    Only the family that made it opens `beside`. The rest of the sampler picks rows, joins them and moves them.

    Attributes:
        context: (rows, tokens, channels), what layers attend to. Null-text inversion learns one.
        beside: further inputs of the model, (rows, ...) each, by the family's own names ("text_embeds" of SDXL).
    """

    context: Tensor
    beside: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.context)

    def row(self, index: int) -> "Encoded":
        """One text, as a value of one row."""
        return self._each(lambda tensor: tensor[index : index + 1])

    def rows(self) -> "list[Encoded]":
        """Each text by itself."""
        return [self.row(index) for index in range(len(self))]

    def to(self, like: Tensor) -> "Encoded":
        """The same on the device of a tensor and in its precision; whole numbers stay what they are."""
        return self._each(lambda tensor: tensor.to(like) if tensor.is_floating_point() else tensor.to(like.device))

    def with_context(self, context: Tensor) -> "Encoded":
        """The same texts with another context, (rows or 1, tokens, channels); one row is repeated for many contexts."""
        count = len(context)
        return Encoded(
            context, {name: tensor if len(tensor) == count else tensor[:1].expand(count, *tensor.shape[1:])
                      for name, tensor in self.beside.items()}
        )  # fmt: skip

    def named(self) -> Mapping[str, Tensor]:
        """All tensors by name, as a file holds them."""
        return {"context": self.context, **self.beside}

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Encoded":
        return Encoded(change(self.context), {name: change(tensor) for name, tensor in self.beside.items()})


def joined(rows: Sequence[Encoded]) -> Encoded:
    """Texts of one family under each other."""
    first = rows[0]
    beside = {name: torch.cat([row.beside[name] for row in rows]) for name in first.beside}
    return Encoded(torch.cat([row.context for row in rows]), beside)
