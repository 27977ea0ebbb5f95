"""A run's steps and its result, both."""

from collections.abc import Generator
from typing import Any


def run_through(steps: Generator[Any, None, Any]) -> tuple[list[Any], Any]:
    """Everything that a generator yields, and what it returns."""
    found = []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as end:
            return found, end.value
