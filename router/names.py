"""Which cell a request of a name was sent to, so that a retry of it goes nowhere else.

A name (`Idempotency-Key`, or the id of a PUT) makes a second request the same job, within one cell. So a retry must
reach the cell that accepted the first one, or that may have: its answer may have been lost on the way. This is memory
of one router process. A second router does not have it, nor does one that was started again (docs/cells.md says what
follows and what to do).
"""

import hashlib

from cachetools import TTLCache

from process.metrics import NAMES_HELD

#: Seconds that a name is remembered: for as long as its edit is kept by default (`JOB_LIFETIME`).
KEPT = 86_400
#: Names that are remembered; about 250 bytes each.
MOST = 200_000


class Names:
    """The cells of names."""

    def __init__(self) -> None:
        self._cells: TTLCache[bytes, str] = TTLCache(MOST, KEPT)
        NAMES_HELD.set_function(lambda: len(self._cells))

    def cell_of(self, authorization: str, name: str | None) -> str | None:
        """Where a request of this name went before."""
        return None if name is None else self._cells.get(_key(authorization, name))

    def note(self, authorization: str, name: str | None, cell: str) -> None:
        """It is on its way to this cell."""
        if name is not None:
            self._cells[_key(authorization, name)] = cell

    def forget(self, authorization: str, name: str | None) -> None:
        """That cell has surely not accepted it."""
        if name is not None:
            self._cells.pop(_key(authorization, name), None)


def _key(authorization: str, name: str) -> bytes:
    # Of the whole header, secret and all: with an id alone a stranger could say where another's request went.
    return hashlib.sha256(f"{authorization}\n{name}".encode("utf-8", "replace")).digest()
