"""What a worker writes down of itself and of its message, sent with what it sends next.

That it works on a message, and that it has worked one off, need no message to Redis of their own: a move or a look for
the next message follows at once, and takes them along.
"""

import logging
from collections.abc import Sequence
from typing import Any

import redis
from redis.commands.core import Script

from jobs.redis.together import Command, answers_to

log = logging.getLogger(__name__)


class Notes:
    """Commands that wait for the next message to Redis. Used by one thread, that which takes messages.

    Each may be sent twice, where an answer was lost on its way. Nobody reads what they answer; an error is logged.
    """

    def __init__(self) -> None:
        self._commands: list[Command] = []

    def add(self, *command: str | int | float) -> None:
        """Have a command sent with the next message."""
        self._commands.append(command)

    def sent_with(
        self, client: redis.Redis, commands: Sequence[Command] = (), scripts: Sequence[Script] = ()
    ) -> list[Any]:
        """`together` for some commands, behind all that waits; what could not be sent goes on waiting."""
        waiting, self._commands = self._commands, []
        if not waiting and not commands:
            return []
        try:
            answers = answers_to(client, [*waiting, *commands], scripts)
        except redis.RedisError:
            self._commands = waiting + self._commands
            raise
        noted, answered = answers[: len(waiting)], answers[len(waiting) :]
        for answer in noted:
            if isinstance(answer, Exception):
                log.warning("a note about this worker was not taken: %s", answer)
        for answer in answered:
            if isinstance(answer, Exception):
                raise answer
        return answered
