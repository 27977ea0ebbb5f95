"""Generators that yield steps and return a result, as `edit_steps` does.

A generator passes both on by `result = yield from steps`; `made_of` yields something else for each step; `result_of`
wants the result alone.
"""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Any, TypeVar

Step = TypeVar("Step")
Made = TypeVar("Made")
Result = TypeVar("Result")


def result_of(steps: Generator[Any, None, Result]) -> Result:
    """The result of a generator, its steps passed over."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def made_of(
    steps: Generator[Step, None, Result], make: Callable[[Step], Iterable[Made]]
) -> Generator[Made, None, Result]:
    """What is made of each step, and at the end the result.

    The steps are closed whatever happens: a run that stops in the middle puts the model's own attention back.
    """
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value
            yield from make(step)
