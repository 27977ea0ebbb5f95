"""Lists of all cells: one cell's pages after another's, or of lists without pages the whole of each.

A cursor says which cell it is of: `e1.` and that cell's own cursor, which is empty for its first page. So the router
keeps nothing, each thing is listed once, and within a cell the order is that cell's. A cell that does not answer ends
the request with `cell_unavailable`: a list that lacks a part would look like a whole one.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx

from router.cells import Cell

#: Asks a cell with a query; gives its answer, read.
Ask = Callable[[Cell, str], Awaitable[httpx.Response]]
_CURSOR, _CELL = "cursor", "cell"


async def listed(query: str, cells: Sequence[Cell], ask: Ask, *, pages: bool) -> tuple[httpx.Response, bytes]:
    """The answer that has the status and the headers, and the body to send with it.

    Args:
        cells: in the order in which they are listed.
        pages: whether the list has pages.
    """
    fields = [(name, text) for name, text in parse_qsl(query, keep_blank_values=True) if name != _CELL]
    return await (_page(fields, cells, ask) if pages else _all(fields, cells, ask))


async def _page(fields: Sequence[tuple[str, str]], cells: Sequence[Cell], ask: Ask) -> tuple[httpx.Response, bytes]:
    name, _, cursor = dict(fields).get(_CURSOR, "").partition(".")
    place = next((index for index, cell in enumerate(cells) if cell.name == name), None)
    others = [(each, text) for each, text in fields if each != _CURSOR]
    if place is None:
        # The first page, or a cursor that is none of this router's: the first cell says so.
        place, cursor = 0, name
    answer = await ask(cells[place], urlencode([*others, (_CURSOR, cursor)] if cursor else others))
    if not answer.is_success:
        return answer, answer.content
    body = answer.json()
    if body[_CURSOR] is not None:
        body[_CURSOR] = f"{cells[place].name}.{body[_CURSOR]}"
    elif place + 1 < len(cells):
        body[_CURSOR] = f"{cells[place + 1].name}."
    return answer, _written(body)


async def _all(fields: Sequence[tuple[str, str]], cells: Sequence[Cell], ask: Ask) -> tuple[httpx.Response, bytes]:
    whole: dict[str, list[Any]] = {}
    for cell in cells:
        answer = await ask(cell, urlencode(fields))
        if not answer.is_success:
            return answer, answer.content
        for name, things in answer.json().items():
            whole.setdefault(name, []).extend(things)
    return answer, _written(whole)


def _written(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
