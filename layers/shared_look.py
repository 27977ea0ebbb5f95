"""A look at something that costs: one at a time, and every request that comes meanwhile gets its outcome."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Outcome = TypeVar("Outcome")


class SharedLook(Generic[Outcome]):
    """A request that comes while a look is under way waits for that one: a thousand requests cost as much as one."""

    def __init__(self) -> None:
        self._under_way: asyncio.Task[Outcome] | None = None

    async def outcome(self, look: Callable[[], Coroutine[Any, Any, Outcome]]) -> Outcome:
        """What a look gives or raises. A request that leaves ends the look for no other."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(look())
            # Every request may have left before the error comes.
            self._under_way.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._under_way)
