"""Which cells take work just now: each is asked once a second, and what fails in between counts at once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import httpx

from process.metrics import CELL_WORKS
from router.cells import Cell

log = logging.getLogger("router")

#: Seconds between two looks at a cell, and how long one may take. `/readyz` asks the cell's Redis and its storage.
EVERY, PATIENCE = 1.0, 5.0


class Health:
    """What is known of the cells; all are taken to work until one look says otherwise."""

    def __init__(self, cells: Collection[Cell], client: httpx.AsyncClient) -> None:
        self._cells, self._client = cells, client
        self._down: set[str] = set()
        for cell in cells:
            CELL_WORKS.labels(cell.name).set(1)

    def works(self, cell: Cell) -> bool:
        """Whether a cell took work when it was last asked."""
        return cell.name not in self._down

    def first(self, cells: Sequence[Cell]) -> Sequence[Cell]:
        """The same cells, those that work before those that do not."""
        return sorted(cells, key=lambda cell: not self.works(cell))

    def failed(self, cell: Cell) -> None:
        """A request has just found that it does not work."""
        self._said(cell, works=False)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Looks at the cells for as long as the block runs."""
        looking = [asyncio.create_task(self._watch(cell)) for cell in self._cells]
        try:
            yield
        finally:
            for each in looking:
                each.cancel()

    async def _watch(self, cell: Cell) -> None:
        while True:
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await self._client.get(f"{cell.url}/readyz")
                self._said(cell, works=answer.is_success)
            except (httpx.HTTPError, TimeoutError):
                self._said(cell, works=False)
            await asyncio.sleep(EVERY)

    def _said(self, cell: Cell, *, works: bool) -> None:
        if works != self.works(cell):
            log.warning("cell %s %s", cell.name, "works again" if works else "takes no work")
        (self._down.discard if works else self._down.add)(cell.name)
        CELL_WORKS.labels(cell.name).set(works)
