"""The cells that a router knows, and in which order a key's new work goes to them.

Rendezvous hashing (Thaler and Ravishankar, 1998): each cell is scored with the key's id, and the scores are the order.
Every router computes the same, without asking anybody. A cell that is added takes over the keys that score highest
there, and leaves all other keys where they are.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from process.cell import CELL
from process.token_form import bearer_of, owner_said

#: Cells that one key's new work goes to: its first, and its second while the first takes none. All other keys share
#: neither of the two but by chance, so what overloads one key's cells leaves most keys alone.
OF_A_KEY = 2
#: The id in a key, as `service.api_keys` writes it.
_KEY = re.compile(r"bearer\s+p2p_([0-9a-f]{12})_", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://[^\s/?#@]+")
EXAMPLE = "e1=http://10.0.1.1:8000 e2=http://10.0.2.1:8000"


@dataclass(frozen=True)
class Cell:
    """One cell: its name, as its ids begin, and where its API answers (or the balancer before its APIs)."""

    name: str
    url: str


def cells_of(text: str) -> Mapping[str, Cell]:
    """The cells that a setting names, by their names; raises `ValueError`, with what to write instead."""
    found: dict[str, Cell] = {}
    for each in text.split():
        name, _, url = each.partition("=")
        if not re.fullmatch(CELL, name) or not _ADDRESS.fullmatch(url.rstrip("/")):
            raise ValueError(f"{each!r} names no cell: write NAME=URL of each, such as {EXAMPLE!r}")
        if name in found:
            raise ValueError(f"{name!r} is named twice: each cell has a name of its own")
        found[name] = Cell(name, url.rstrip("/"))
    if not found:
        raise ValueError(f"no cell is named: write NAME=URL of each, such as {EXAMPLE!r}")
    return found


def key_of(authorization: str) -> str:
    """The id of the key in an Authorization header, or the owner whom a token there names: another token of the same
    subject has the same cells. The cell decides whether it is a good one."""
    found = _KEY.match(authorization)
    return found[1] if found else owner_said(bearer_of(authorization)) or "anonymous"


def in_order(key: str, cells: Mapping[str, Cell]) -> Sequence[Cell]:
    """All cells, in the order of a key."""

    def score(cell: Cell) -> bytes:
        return hashlib.sha256(f"{key} {cell.name}".encode()).digest()

    return sorted(cells.values(), key=score, reverse=True)
