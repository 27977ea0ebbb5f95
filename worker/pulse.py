"""Signs of life of a worker while it does something that it cannot interrupt, such as loading a model."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

log = logging.getLogger(__name__)

#: Seconds between two signs: an idle worker gives one as often, and counts as alive for 45 s after the last.
EVERY = 5.0


@contextmanager
def pulse(beat: Callable[[], None], *, limit: float, every: float = EVERY) -> Iterator[None]:
    """Calls `beat` from a thread while the block runs.

    Args:
        limit: seconds after which it stops, for what hangs must not be taken for alive.
    """
    ended = threading.Event()

    def keep() -> None:
        until = time.monotonic() + limit
        while not ended.wait(every):
            if time.monotonic() > until:
                log.error("this worker has been at it for %g s: it gives no further sign of life", limit)
                return
            try:
                beat()
            except redis.RedisError as error:
                log.warning("no sign of life could be given: %s", error)

    thread = threading.Thread(target=keep, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
