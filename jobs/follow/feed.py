"""What API processes hear of the streams that their clients follow: one Redis connection for all streams.

A stream of events (`jobs.redis.keys.events`, `batch_events`) is the record of what happened. The script that adds an
event also publishes it, on a channel of the stream's own name, with the id of the event before it. A process subscribes
to the streams that it follows. What it hears saves a read; where an id is missing in between it reads the stream.
"""

import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple, Protocol, cast

import redis
import redis.asyncio
from redis.asyncio.client import PubSub

from jobs.follow.cancellation import heed_cancellation
from jobs.redis import keys

#: The id that stands before every event of a stream.
START = "0-0"
#: Seconds for which a stream counts as followed after it was last read for a follower. Three reads fit in.
FOLLOWED = 15
#: Channels in one SUBSCRIBE: 20 kB.
CHANNELS_AT_ONCE = 500
#: Seconds of silence after which Redis is asked for a sign of life, and after which the connection is taken for dead.
PING, DEAD = 5.0, 15.0


class News(NamedTuple):
    """Something that was heard of a stream.

    Attributes:
        key: the stream's.
        before: id of the event before this one; None if only the subscription began, without an event.
        id, text: the event's.
    """

    key: str
    before: str | None = None
    id: str = START
    text: str = ""


class Subscription(Protocol):
    """A connection that hears of some streams."""

    async def change(self, joined: Collection[str], left: Collection[str]) -> None:
        """Hear of further streams, and of some no longer; raises `redis.RedisError`."""

    def news(self) -> AsyncIterator[News]:
        """What is heard, the beginning of each subscription included; raises `redis.RedisError` where it breaks."""


class Feed(Protocol):
    """Streams of events: read, and heard of."""

    async def read(
        self, after: Mapping[str, str], followed: Collection[str] = ()
    ) -> Mapping[str, Sequence[tuple[str, str]] | None]:
        """Ids and texts of the events after an id, by stream; None for a stream that is not there.

        Args:
            followed: streams that clients read step by step. For `FOLLOWED` seconds the worker writes each step.

        Raises:
            redis.RedisError: Redis does not answer.
        """

    def subscription(self) -> AbstractAsyncContextManager[Subscription]:
        """A new connection; raises `redis.RedisError` where there is none."""


class RedisFeed:
    """`Feed` over two asyncio clients made with `decode_responses=True`: one reads, one keeps a connection to hear."""

    def __init__(self, client: redis.asyncio.Redis, hearing: redis.asyncio.Redis) -> None:
        self._client, self._hearing = client, hearing

    async def read(
        self, after: Mapping[str, str], followed: Collection[str] = ()
    ) -> Mapping[str, Sequence[tuple[str, str]] | None]:
        async with self._client.pipeline(transaction=False) as commands:
            for key, event_id in after.items():
                commands.xrange(key, f"({event_id}")
                commands.exists(key)
            for key in followed:
                commands.set(keys.followed(key), 1, ex=FOLLOWED)
            answers = cast(Sequence[Any], await commands.execute())[: 2 * len(after)]
        return {
            key: [(event_id, fields["e"]) for event_id, fields in entries] if there else None
            for key, entries, there in zip(after, answers[::2], answers[1::2], strict=True)
        }

    @asynccontextmanager
    async def subscription(self) -> AsyncIterator[Subscription]:
        async with self._hearing.pubsub() as pubsub:
            # A connection before the first stream, so that it is known to work.
            await pubsub.connect()
            yield _RedisSubscription(pubsub)


class _RedisSubscription:
    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    async def change(self, joined: Collection[str], left: Collection[str]) -> None:
        for channels in _parts(left):
            await self._pubsub.unsubscribe(*channels)
        for channels in _parts(joined):
            await self._pubsub.subscribe(*channels)

    async def news(self) -> AsyncIterator[News]:
        heard_at = time.monotonic()
        while True:
            heed_cancellation()
            message = await self._pubsub.get_message(timeout=PING)
            if message is None:
                if time.monotonic() - heard_at > DEAD:
                    raise redis.ConnectionError("Redis has been silent for too long")
                await self._pubsub.ping()
                continue
            heard_at = time.monotonic()
            match message["type"]:
                case "message" if len(parts := message["data"].split(" ", 2)) == 3:
                    yield News(message["channel"], *parts)
                case "message" | "subscribe":
                    yield News(message["channel"])


def _parts(channels: Collection[str]) -> Iterator[Sequence[str]]:
    whole = list(channels)
    return (whole[first : first + CHANNELS_AT_ONCE] for first in range(0, len(whole), CHANNELS_AT_ONCE))
