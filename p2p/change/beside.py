"""Rows that a run draws beside its pictures: for each word that guidance turns up or down, the prompt without it.

    prediction = P + sum over words of (weight - 1) (P - Q)

P is the prediction of the edited prompt and Q that of the prompt without the word, both of the same latents. At weight
1 it is P, and at 0 it is Q: the prompt that does not say the word. It is linear in predictions, as classifier-free
guidance is, so it knows no model (Liu et al. 2022, arXiv 2206.01714; Brack et al. 2023, arXiv 2301.12247).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from p2p.change.choosing import chosen
from p2p.change.fading import without
from p2p.spec import EditSpec, Reweight, Target
from p2p.words import written


@dataclass(frozen=True)
class Beside:
    """One such row.

    Attributes:
        target: the number of the edited picture whose prediction it concerns, from 0.
        weight: of the word.
        drawn: how it is drawn: as an automatic edit of the source that does not say the word.
    """

    target: int
    weight: float
    drawn: Target


def rows_beside(spec: EditSpec) -> tuple[Beside, ...]:
    """The rows that a spec needs beside its pictures, with one seed."""
    return tuple(_rows(spec))


def _rows(spec: EditSpec) -> Iterator[Beside]:
    for index, target in enumerate(spec.targets):
        names = [
            name
            for edit in target.edits or ()
            if isinstance(edit, Reweight) and edit.by == "guidance"
            for name in edit.weights
            if name.weight != 1
        ]
        for name in names:
            prompt = without(written(target.prompt), name)
            # A prompt of one word is nothing without it.
            drawn = chosen(spec.source.prompt, Target.model_construct(prompt=prompt))
            yield Beside(index, name.weight, drawn)
