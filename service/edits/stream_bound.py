"""How many waits and event streams a key may have open at one API process.

The count is this process's own: a key may have as many at each process, and the count is lost with the process, as are
the connections that it counts.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.errors import TooManyStreams
from service.api_keys import Caller


class StreamBound:
    """Counts the open waits and event streams of each owner.

    Args:
        most: of an owner whose key has no bound of its own; those who need no key are one owner.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @contextmanager
    def held(self, caller: Caller) -> Iterator[None]:
        """One more for as long as the block runs.

        Raises:
            TooManyStreams: the caller has as many as it may.
        """
        allowed = self._most if caller.streams is None else caller.streams
        if self._open[caller.owner] >= allowed:
            raise TooManyStreams(self._open[caller.owner], allowed)
        self._open[caller.owner] += 1
        try:
            yield
        finally:
            self._open[caller.owner] -= 1
            if not self._open[caller.owner]:
                del self._open[caller.owner]

    def count(self) -> int:
        """How many are open, of all owners."""
        return self._open.total()
