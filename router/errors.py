"""Why the router answers by itself: each error says what to do. All are problem documents, as those of a cell.

RouterRefusal
├── UnknownCell       an id or `cell` names a cell that this router does not know
├── CellNotNamed      each cell has its own part of what is asked for
├── SeveralCells      the body names pictures of more than one cell
└── CellUnavailable   the only cell that may answer does not
"""

from collections.abc import Sequence

from layers.door_errors import RequestRefused
from process.error_codes import message_of

#: Seconds after which a client asks again: a cell is looked at every second.
RETRY_AFTER = 2


class RouterRefusal(RequestRefused):
    """Base of the tree above."""

    code = "request_refused"


class UnknownCell(RouterRefusal):
    """No cell has this name."""

    code = "unknown_cell"

    def __init__(self, cell: str, known: Sequence[str]) -> None:
        Exception.__init__(self, f"there is no cell {cell}: this service has {', '.join(known)}")


class CellNotNamed(RouterRefusal):
    """What is asked for is asked of each cell apart."""

    code = "cell_not_named"

    def __init__(self, known: Sequence[str]) -> None:
        Exception.__init__(
            self, f"each cell has its own part of this: ask {', '.join(f'?cell={each}' for each in known)}"
        )


class SeveralCells(RouterRefusal):
    """One edit cannot use pictures that lie in different cells."""

    code = "several_cells"

    def __init__(self, cells: Sequence[str]) -> None:
        named = " and ".join(sorted(cells))
        Exception.__init__(self, f"the pictures that the body names are of {named}: send them to one cell again")


class CellUnavailable(RouterRefusal):
    """The cell does not answer, and no other may answer in its place."""

    code = "cell_unavailable"

    def __init__(self) -> None:
        Exception.__init__(self, message_of(self.code))
        self.headers = {"Retry-After": str(RETRY_AFTER)}
