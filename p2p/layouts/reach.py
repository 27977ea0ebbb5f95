"""How large the pictures are that a model makes, alone and with further models behind it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Reach:
    """What a model makes with its first so many further models.

    Attributes:
        factor: pixels a side that they make of one of its own.
        side: of the pictures that the last of them was trained on.
    """

    factor: int
    side: int

    def further(self, factor: int) -> "Reach":
        """What one model more makes of it, whose pictures' sides are so many times as long."""
        return Reach(self.factor * factor, self.side * factor)


def nearest(reaches: Sequence[Reach], height: int, width: int) -> int:
    """With how many further models a picture is made: those whose own pictures are nearest to it in area.

    More of them where two are as near. A network that draws far more than it was trained on repeats things, and one
    that draws far less loses them.
    """
    area = height * width

    def apart(number: int) -> float:
        own = reaches[number].side ** 2
        return max(area, own) / min(area, own)

    return min(range(len(reaches)), key=lambda number: (apart(number), -number))
