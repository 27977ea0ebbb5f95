"""Work that a request leaves behind: it goes on once its client has gone, and ends with the API at the latest."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

#: Pieces of work at a time. Each holds a few kB; what is beyond is not begun.
MOST = 1_000


class Later:
    """Does such work beside the requests."""

    def __init__(self, most: int = MOST) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._most = most

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin a piece of work, which must be none that anybody depends on: an API that is killed does not end it."""
        if len(self._tasks) >= self._most:
            work.close()
            log.warning("%d pieces of work are left behind by requests already: one more is not begun", self._most)
            return
        task = asyncio.create_task(self._done(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Give up what is not done."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _done(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            log.error("work that a request left behind failed", exc_info=error)
