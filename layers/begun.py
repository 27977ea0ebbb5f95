"""Asking for what may be there already, before a deadline for it is set.

Most bodies have come whole when their route asks for them, and a deadline that nobody waits for takes 4 µs.
"""

from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Begun(Generic[Result]):
    """Something awaitable that has come to its first wait; to be awaited once."""

    def __init__(self, steps: Generator[Any, Any, Result], first: Any) -> None:
        self._steps, self._first = steps, first

    def __await__(self) -> Generator[Any, Any, Result]:
        """What it waits for, from where it stands; cancelled, it is cancelled there."""
        waited_for = self._first
        while True:
            try:
                try:
                    given = yield waited_for
                except BaseException as error:
                    waited_for = self._steps.throw(error)
                else:
                    waited_for = self._steps.send(given)
            except StopIteration as done:
                return done.value


def begin(awaitable: Awaitable[Result]) -> Begun[Result] | Result:
    """What it gives where it gives that without any wait, or else what is left to wait for."""
    steps = awaitable.__await__()
    try:
        return Begun(steps, next(steps))
    except StopIteration as done:
        return done.value
