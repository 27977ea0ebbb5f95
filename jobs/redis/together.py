"""Commands and scripts in one message to Redis, over a blocking client.

A message costs Redis about as much as what a short command does: it is read and answered by system calls. redis-py
sends scripts of a pipeline in two messages: the first one asks whether Redis knows them.
"""

from collections.abc import Sequence
from typing import Any

import redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError

Command = Sequence[Any]


def call_of(script: Script, names: Sequence[str], arguments: Sequence[Any]) -> Command:
    """A script's call as a command."""
    return ("EVALSHA", script.sha, len(names), *names, *arguments)


def together(client: redis.Redis, commands: Sequence[Command], scripts: Sequence[Script] = ()) -> list[Any]:
    """What Redis answers to each of the commands, sent as one message.

    Args:
        scripts: those that are called. Where Redis does not know one, they are loaded and called again.

    Raises:
        redis.RedisError: the first error that Redis answers, or it does not answer.
    """
    answers = answers_to(client, commands, scripts)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def answers_to(client: redis.Redis, commands: Sequence[Command], scripts: Sequence[Script] = ()) -> list[Any]:
    """`together`, with the error in the place of an answer; raises one where Redis does not answer."""
    answers = _sent(client, commands)
    unknown = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        for script in scripts:
            client.script_load(script.script)
        again = _sent(client, [commands[index] for index in unknown])
        for index, answer in zip(unknown, again, strict=True):
            answers[index] = answer
    return answers


def _sent(client: redis.Redis, commands: Sequence[Command]) -> list[Any]:
    with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return pipeline.execute(raise_on_error=False)
