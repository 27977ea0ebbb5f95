"""Reads the models file again while the API serves: at SIGHUP, and when a look shows that it has changed.

A file that cannot be used leaves in force what was offered before. Each request works with what is offered when it
begins; jobs that were accepted have all they need in their records.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from jobs.errors import InvalidCatalogue
from process.metrics import MODELS_FILE_REFUSED, MODELS_FILE_RELOADS
from service.models.offered import Offered, load_offered, stamp_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FollowedFile:
    """A models file that is followed.

    Attributes:
        offered: as it was read last.
        seconds: between two looks at it; 0 for none.
    """

    path: Path
    offered: Offered
    seconds: float


@asynccontextmanager
async def followed(file: FollowedFile | None, use: Callable[[Offered], None]) -> AsyncIterator[None]:
    """Has `use` called with what a models file offers, each time that it is read again within the block."""
    if file is None:
        yield
        return
    wake = asyncio.Event()
    with _at_hangup(wake.set):
        watching = asyncio.create_task(_watch(file, wake, use))
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def _watch(file: FollowedFile, wake: asyncio.Event, use: Callable[[Offered], None]) -> None:
    before, seen = file.offered, file.offered.stamp
    MODELS_FILE_REFUSED.set(0)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(file.seconds or None):
                await wake.wait()
        is_asked = wake.is_set()
        wake.clear()
        found = stamp_of(file.path)
        if found == seen and not is_asked:
            continue
        # Taken before it is read: what changes meanwhile is read at the next look.
        seen = found
        try:
            # Abandoned where the API ends: a hub that does not answer keeps nobody waiting.
            offered = await to_thread.run_sync(load_offered, file.path, abandon_on_cancel=True)
        except Exception as error:
            _refused(file.path, error)
            continue
        use(offered)
        MODELS_FILE_RELOADS.labels("used").inc()
        MODELS_FILE_REFUSED.set(0)
        log.info("%s was read again: %s", file.path, _difference(before, offered))
        before = offered


def _refused(path: Path, error: Exception) -> None:
    MODELS_FILE_RELOADS.labels("refused").inc()
    MODELS_FILE_REFUSED.set(1)
    unforeseen = None if isinstance(error, InvalidCatalogue) else error
    log.error("%s cannot be used, and what was offered before stays: %s", path, error, exc_info=unforeseen)


def _difference(before: Offered, after: Offered) -> str:
    old, new = before.catalogue, after.catalogue
    kinds = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "gone": [name for name in old if name not in new],
    }
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names) or "the same models"


@contextmanager
def _at_hangup(call: Callable[[], None]) -> Iterator[None]:
    """Has the event loop call a function at SIGHUP, which a program otherwise ends at."""
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(hangup)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(hangup, call)
    try:
        yield
    finally:
        loop.remove_signal_handler(hangup)
        signal.signal(hangup, before)
