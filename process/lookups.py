"""Names looked up for strangers: each within a deadline, and no owner's names keep another's waiting.

The system's resolver cannot be interrupted: a name whose server does not answer keeps a thread for up to half a minute,
even after its caller has given up. So each lookup has a thread of its own, an owner has a part of them, and a thread
that is still busy counts until it is done.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from process.turns import Turns

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

#: Lookups under way in one process, how many of them may be one owner's, and how many of an owner may wait: no more
#: requests and attempts of one owner are ever in hand.
AT_ONCE, OF_OWNER, WAITING = 64, 16, 256
#: Seconds that a lookup may take, waiting for a thread included. A resolver asks three times within that.
SECONDS = 5.0


async def resolved(host: str, port: int) -> Sequence[str]:
    """Every address of a name, as this machine's resolver gives them; raises `OSError`."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(found: Any, error: Exception | None) -> None:
        if not answer.done():
            answer.set_exception(error) if error else answer.set_result(found)

    def look() -> None:
        found, failed = None, None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:
            failed = error
        with suppress(RuntimeError):  # where the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, found, failed)

    # Not of a pool: the end of the process would wait for a pool's threads.
    threading.Thread(target=look, name=f"lookup of {host[:40]}", daemon=True).start()
    return list(dict.fromkeys(str(address[0]) for *_, address in await answer))


class Lookups:
    """The lookups of one process.

    Args:
        resolve: gives a name's addresses.
    """

    def __init__(
        self, resolve: Resolve = resolved, *, at_once: int = AT_ONCE, of_owner: int = OF_OWNER, seconds: float = SECONDS
    ) -> None:
        self._resolve, self._seconds = resolve, seconds
        self._turns = Turns(at_once, of_owner=of_owner, waiting=WAITING)

    async def addresses(self, host: str, port: int, owner: str) -> Sequence[str]:
        """Every address of a name.

        Raises:
            OSError: there is no such name, or the resolver failed.
            TimeoutError: it took longer than it may.
        """
        async with asyncio.timeout(self._seconds):
            await self._turns.enter(owner)
            looking = asyncio.ensure_future(self._resolve(host, port))
            looking.add_done_callback(lambda done: self._done(done, owner))
            return await asyncio.shield(looking)

    def _done(self, looking: "asyncio.Future[Sequence[str]]", owner: str) -> None:
        self._turns.leave(owner)
        if not looking.cancelled():
            looking.exception()  # nobody may be there to take it
