"""Writes that replicas have before anybody learns of them: REDIS_REPLICAS.

A failover loses what the new primary had not received. `WAIT` answers how many replicas have received the last write of
its own connection, and so all that the server wrote before that. What only reads is no write: a request that is sent
again and finds its edit would wait for nothing. So a small write goes before each `WAIT`. Both must come over the
connection of the command itself. Another connection may lead to another server by then, which never saw the command.

Where no replica must acknowledge anything, nothing else is sent than before.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import NoScriptError

from jobs.errors import NotReplicated
from jobs.redis import keys

log = logging.getLogger(__name__)

#: Milliseconds that replicas have. They answer within a round trip, so one that takes longer is away.
WITHIN = 1000
#: Milliseconds that the small write is kept: no key here stays for ever.
LIFE = 60_000
#: Seconds until connections are opened anew for the same reason.
AGAIN = 1.0
#: What is called with the keys and the arguments of a script.
AsyncScript = Callable[[Sequence[str], Sequence[Any]], Awaitable[Any]]


def wait_commands(number: int) -> Sequence[tuple[Any, ...]]:
    """The commands that go behind others in a message; the answer of the last one is for `enough`."""
    return (("SET", keys.WAITED, "", "PX", LIFE), ("WAIT", number, WITHIN))


def enough(acknowledged: object, number: int) -> bool:
    """Whether `WAIT` answered that so many replicas have it; an error says that the server is no primary any more."""
    return isinstance(acknowledged, int) and acknowledged >= number


class Replicated:
    """Runs scripts over an asyncio client, and waits until `number` replicas have what they wrote.

    Args:
        beside: another client of the same server.
    """

    def __init__(
        self, client: redis.asyncio.Redis, number: int = 0, *, beside: redis.asyncio.Redis | None = None
    ) -> None:
        self.client, self.number = client, number
        self._clients = [client] if beside is None else [client, beside]
        self._left_at = float("-inf")

    def script(self, text: str) -> AsyncScript:
        """A script. Calling it raises `NotReplicated` where it was run and too few replicas have what it wrote."""
        registered = self.client.register_script(text)
        if not self.number:
            return registered

        async def run(names: Sequence[str], arguments: Sequence[Any]) -> Any:
            command = ("EVALSHA", registered.sha, len(names), *names, *arguments)
            try:
                return await self.execute(*command)
            except NoScriptError:
                await self.client.script_load(text)
                return await self.execute(*command)

        return run

    async def execute(self, *command: Any) -> Any:
        """What a command answers, once it is replicated; raises `NotReplicated` where it is not."""
        async with self.client.pipeline(transaction=False) as pipeline:
            for each in (command, *wait_commands(self.number)):
                pipeline.execute_command(*each)
            answer, _, acknowledged = await pipeline.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            raise answer
        if not enough(acknowledged, self.number):
            await self.leave()
            raise NotReplicated(self.number)
        return answer

    async def leave(self) -> None:
        """Have the next commands sent over new connections, to the server that is the primary then.

        Where no replica follows a server any more, another one may have been promoted beside it. Sentinels demote it
        after some seconds.
        """
        if time.monotonic() - self._left_at < AGAIN:
            return
        self._left_at = time.monotonic()
        for client in self._clients:
            await client.connection_pool.disconnect(inuse_connections=False)

    async def confirm(self) -> None:
        """Raises `NotReplicated` unless replicas have all that was written up to now."""
        if self.number:
            await self.execute("PING")


class BlockingReplicated:
    """`Replicated` over a blocking client, for processes that go on where too few replicas answer.

    What they write is then lost if a failover happens at once, and is done again. So nobody may learn of it yet
    (docs/reliability.md, "A failover").
    """

    def __init__(self, client: redis.Redis, number: int = 0) -> None:
        self._client, self._number = client, number

    def script(self, text: str) -> Callable[[Sequence[str], Sequence[Any]], Any]:
        """A script, which waits for replicas, or says in the log that they were late."""
        registered = self._client.register_script(text)

        def run(names: Sequence[str], arguments: Sequence[Any]) -> Any:
            command = ("EVALSHA", registered.sha, len(names), *names, *arguments)
            try:
                answer, is_replicated = self.execute(*command)
            except NoScriptError:
                self._client.script_load(text)
                answer, is_replicated = self.execute(*command)
            if not is_replicated:
                log.warning("fewer than %d replicas acknowledged a write within %d ms", self._number, WITHIN)
            return answer

        return run if self._number else registered

    def confirmed(self) -> bool:
        """Whether replicas have all that was written up to now."""
        return not self._number or self.execute("PING")[1]

    def execute(self, *command: Any) -> tuple[Any, bool]:
        """What a command answers, and whether replicas have all that was written up to then."""
        if not self._number:
            return self._client.execute_command(*command), True
        with self._client.pipeline(transaction=False) as pipeline:
            for each in (command, *wait_commands(self._number)):
                pipeline.execute_command(*each)
            answer, _, acknowledged = pipeline.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            raise answer
        if not (is_replicated := enough(acknowledged, self._number)):
            # As `Replicated.leave`; a process that writes this way has few connections.
            self._client.connection_pool.disconnect(inuse_connections=False)
        return answer, is_replicated
