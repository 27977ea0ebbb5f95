"""Room for a thing that is added."""

from typing import Annotated

from pydantic import Field

from p2p.part import Part
from p2p.spec.complaints import counted
from p2p.spec.names import WordName


class Room(Part):
    """Tries to add a thing beside what is there, and makes the layout anew if there is no room.

    Four rows are drawn for the one picture. Three keep what stands there for the first half of the run; the fourth is
    the edited prompt alone. Where the model sees that the thing came to be, the best of the three is shown,
    and outside the new thing's region it is the source.
    """

    words: Annotated[tuple[WordName, ...], *counted(1, 32)] = Field(
        description="Words of the edited prompt: what is added."
    )
    beside: Annotated[tuple[WordName, ...], *counted(1, 32)] = Field(
        description="Words of the source prompt: what stands there; the last one is next to it."
    )
