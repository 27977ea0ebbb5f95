"""Commands that requests send in the same turn of the event loop, as one message to Redis.

A round trip costs a process more than the command itself: a connection taken and given back, a write, a read, their
deadlines. Under load a turn of the event loop has many requests, and they share one. A request that is alone waits for
nobody: its command goes out in the same turn.
"""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from typing import Any

import redis.asyncio
from redis.typing import EncodableT

from jobs.redis.replicated import Replicated, enough, wait_commands

#: Commands of one message. Their answers come when Redis has done all of them, and this process is to have something to
#: do meanwhile: another message. They are read without a break, too, and the event loop must go on beside them.
MOST = 8

#: A command, who waits for its answer, and how many replicas must have what it wrote before it is answered.
Asked = tuple[Sequence[EncodableT], asyncio.Future[Any], int]


class Gathered:
    """Sends commands, those of one turn together.

    Each has its own answer or error; where the connection is lost, all of a message have that error.

    Args:
        writes: its client sends what waits for replicas, so that these cannot take all connections of `client`.
    """

    def __init__(self, client: redis.asyncio.Redis, writes: Replicated | None = None) -> None:
        self._client, self._writes = client, writes or Replicated(client)
        self._asked: list[Asked] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def execute(self, *command: EncodableT, replicas: int = 0) -> Any:
        """What Redis answers a command.

        Args:
            replicas: how many must have what was written so far. Then the answer is a pair: what is answered, and
                whether so many have it.

        Raises:
            redis.RedisError: what it answers is an error, or it does not answer.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._begin)
        self._asked.append((command, answer, replicas))
        return await answer

    def _begin(self) -> None:
        asked, self._asked = self._asked, []
        # What waits for replicas goes by itself: nobody who only reads waits for them too.
        for group in ([one for one in asked if not one[2]], [one for one in asked if one[2]]):
            for first in range(0, len(group), MOST):
                self._begin_message(group[first : first + MOST])

    def _begin_message(self, asked: Sequence[Asked]) -> None:
        # In a context of its own: it is no single request's, and what is logged in it bears no request's names.
        sending = asyncio.get_running_loop().create_task(self._send(asked), context=Context())
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _send(self, asked: Sequence[Asked]) -> None:
        """Settles each of `asked`, whatever happens: who asked waits for nothing else."""
        try:
            answers = await self._answers([command for command, _, _ in asked], max(replicas for *_, replicas in asked))
        except (redis.ConnectionError, redis.TimeoutError) as error:
            answers = [error] * len(asked)
        except asyncio.CancelledError:
            for _, waiting, _ in asked:
                waiting.cancel()
            raise
        except Exception as error:
            # One of them is nothing that can be sent: the others are not to pay for it.
            if len(asked) > 1:
                for one in asked:
                    await self._send([one])
                return
            answers = [error]
        for (_, waiting, _), answer in zip(asked, answers, strict=True):
            if waiting.done():
                continue  # who asked has gone
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    async def _answers(self, commands: Sequence[Sequence[EncodableT]], replicas: int) -> list[Any]:
        client = self._writes.client if replicas else self._client
        async with client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            if not replicas:
                return await pipeline.execute(raise_on_error=False)
            for command in wait_commands(replicas):
                pipeline.execute_command(*command)
            *answers, _, acknowledged = await pipeline.execute(raise_on_error=False)
        if not (is_replicated := enough(acknowledged, replicas)):
            await self._writes.leave()
        return [answer if isinstance(answer, Exception) else (answer, is_replicated) for answer in answers]
