"""Which waiting job joins those that run: the first that fits, unless one before it was passed over too often.

A job of another batch key, or of more rows than are free, is passed over: else the device would idle for its sake.
After `PASSED_OVER` jobs that went before it, the next free place is its own: nothing behind it is taken, so rows
become free, or the worker has no job left and takes it as its first.
"""

from collections.abc import Collection, Sequence

#: Jobs that may go before one that does not fit: as many as a model is passed over for others (`worker.turns`).
PASSED_OVER = 8


class Reserving:
    """Counts, for each message that waits, how many jobs went before it."""

    def __init__(self, *, passed_over: int = PASSED_OVER) -> None:
        self._most, self._passed = passed_over, dict[str, int]()

    def allowed(self, messages: Sequence[str], fitting: Collection[str]) -> str | None:
        """The first message that fits; None if one before it has been passed over often enough.

        Args:
            messages: that wait, in their order.
            fitting: those of them that could join now.
        """
        self._passed = {message: times for message, times in self._passed.items() if message in messages}
        for message in messages:
            if message in fitting:
                return message
            if self._passed.get(message, 0) >= self._most:
                return None
        return None

    def took(self, message: str, messages: Sequence[str]) -> None:
        """A message was taken: those before it have been passed over."""
        for before in messages[: messages.index(message)]:
            self._passed[before] = self._passed.get(before, 0) + 1
