"""Cancellations that get lost."""

import asyncio


def heed_cancellation() -> None:
    """Raises `asyncio.CancelledError` in a task that was cancelled and goes on all the same.

    redis-py waits for each write with `asyncio.wait_for`. In Python 3.11 that loses a cancellation which comes just as
    the write is done (https://github.com/python/cpython/issues/86296). A task that then waits again waits for ever, and
    so does the task that cancelled it. So a loop over Redis asks in each turn.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
