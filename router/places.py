"""Where a request goes, as data: read from its method, its path and, of new work, its body.

Home       it names something by an id of ours: the cell of that id, and no other
Own        it names an edit by the client's own id: the cells one after another, until one knows it
Creating   new work: the key's first cell, else its second
Listing    what a key has, of all cells
Anywhere   it is the same in every cell
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from process.cell import cell_of
from router.cells import Cell
from router.errors import CellNotNamed, SeveralCells, UnknownCell

#: Addresses of one thing each, and how their path names it.
_NAMED = re.compile(r"/v1/(?:edits|batches|images|inversions)/([^/]+)(?:/.*)?")
#: An artifact's key begins with what it is of: `jobs/{id}/...`, `images/{id}/...` (`jobs.model`, `jobs.images`).
_ARTIFACT = re.compile(r"/v1/artifacts/[^/]+/([^/]+)/.*")
_OWN_EDIT = re.compile(r"/v1/edits/([^/]+)")
#: Where new work is posted, and whether its body is JSON that may name pictures. An alignment leaves nothing behind.
_NEW = {
    "/v1/edits": True,
    "/v1/batches": True,
    "/v1/inversions": True,
    "/v1/images": False,
    # As OpenAI's clients ask: mostly forms with the picture in them, which are passed on as they come.
    "/v1/images/edits": False,
    "/v1/images/generations": False,
}
#: What is asked of one cell at a time.
_OF_A_CELL = "/v1/subjects/"
_LISTS = frozenset({"/v1/edits", "/v1/images", "/v1/inversions"})


@dataclass(frozen=True)
class Home:
    """This cell and no other."""

    cell: Cell


@dataclass(frozen=True)
class Own:
    """The cell that knows a client's own id."""


@dataclass(frozen=True)
class Creating:
    """New work; `name` is what makes a second request the same one, `reads` whether its body may name a cell."""

    name: str | None
    reads: bool


@dataclass(frozen=True)
class Listing:
    """A list; `cell` is the one that is asked for, None for all."""

    cell: Cell | None


@dataclass(frozen=True)
class Anywhere:
    """Any cell answers the same."""


Place = Home | Own | Creating | Listing | Anywhere


def place_of(method: str, path: str, cell: str, name: str | None, cells: Mapping[str, Cell]) -> Place:
    """Where a request goes.

    Args:
        cell: its query's `cell`; "" where it has none.
        name: its Idempotency-Key.
    Raises:
        UnknownCell: it names a cell that is not there.
        CellNotNamed: it names none, and has to.
    """
    if method in {"GET", "HEAD"} and path in _LISTS:
        return Listing(known(cell, cells) if cell else None)
    if method == "POST" and path in _NEW:
        return Creating(name, _NEW[path])
    if path.startswith(_OF_A_CELL):
        # Each cell has its own part of what is a subject's, and one receipt is of one cell.
        if not cell and len(cells) > 1:
            raise CellNotNamed(list(cells))
        return Home(known(cell, cells))
    if found := _NAMED.fullmatch(path) or _ARTIFACT.fullmatch(path):
        of = cell_of(found[1])
        if of is not None:
            return Home(known(of, cells))
        if method == "PUT" and (own := _OWN_EDIT.fullmatch(path)):
            return Creating(f"id:{own[1]}", True)
        return Own()
    return Anywhere()


def known(name: str, cells: Mapping[str, Cell]) -> Cell:
    """The cell of a name; "" is that of ids without a cell, which the first one made before it had a name."""
    if not name:
        return next(iter(cells.values()))
    if name not in cells:
        raise UnknownCell(name, list(cells))
    return cells[name]


def home_of_body(body: bytes, cells: Mapping[str, Cell]) -> Cell | None:
    """The cell of the pictures that a body names; None if it names none or cannot be read.

    Raises:
        SeveralCells: they lie in different cells.

    A name of no cell here is left to the cell that gets the body: it points at the field.
    """
    try:
        names = {cell_of(name) for name in _uploads(json.loads(body))} - {None}
    except (ValueError, RecursionError):
        return None  # the cell says what is wrong with it
    found = {known(name or "", cells) for name in names if not name or name in cells}
    if len(found) > 1:
        raise SeveralCells([cell.name for cell in found])
    return next(iter(found), None)


def _uploads(value: Any) -> Iterator[str]:
    """What every field `upload` of a JSON value says, however deep."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as fields:
                if isinstance(name := fields.get("upload"), str):
                    yield name
                waiting.extend(fields.values())
            case list() as values:
                waiting.extend(values)
