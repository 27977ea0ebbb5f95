"""A feed of events that says what a test has it say, and followers over it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import redis

from jobs.follow.feed import News
from jobs.follow.followed import Follower, StreamEvent
from jobs.follow.followers import Followers

KEY = "job:1:events"


class HeardFeed:
    """A feed whose streams are lists, and which says what it is told to say.

    Attributes:
        streams: what a read gives.
        reads: which streams each read asked for.
        followed: which streams each read said to be followed.
        is_down: whether Redis does not answer.
    """

    def __init__(self) -> None:
        self.streams: dict[str, list[tuple[str, str]]] = {}
        self.reads: list[set[str]] = []
        self.followed: list[set[str]] = []
        self.is_down = False
        self._said: asyncio.Queue[News | Exception] = asyncio.Queue()
        self.joined: set[str] = set()

    def add(self, text: str, *, key: str = KEY, is_heard: bool = True) -> str:
        """A new event; gives its id."""
        stream = self.streams.setdefault(key, [])
        before, event_id = (stream[-1][0] if stream else "0-0"), f"{len(stream) + 1}-0"
        stream.append((event_id, text))
        if is_heard and key in self.joined:
            self._said.put_nowait(News(key, before, event_id, text))
        return event_id

    def break_connection(self) -> None:
        """What is said until it is made anew, nobody hears."""
        self.joined.clear()
        self._said.put_nowait(redis.ConnectionError("broken"))

    async def read(
        self, after: Mapping[str, str], followed: Collection[str] = ()
    ) -> Mapping[str, Sequence[tuple[str, str]] | None]:
        self.reads.append(set(after))
        self.followed.append(set(followed))
        await asyncio.sleep(0)
        if self.is_down:
            raise redis.ConnectionError("down")
        return {
            key: [entry for entry in self.streams[key] if int(entry[0][:-2]) > int(event_id.split("-")[0])]
            if key in self.streams
            else None
            for key, event_id in after.items()
        }

    @asynccontextmanager
    async def subscription(self) -> AsyncIterator["HeardFeed"]:
        if self.is_down:
            raise redis.ConnectionError("down")
        yield self

    async def change(self, joined: Collection[str], left: Collection[str]) -> None:
        self.joined = (self.joined - set(left)) | set(joined)
        for key in joined:
            self._said.put_nowait(News(key))

    async def news(self) -> AsyncIterator[News]:
        while True:
            said = await self._said.get()
            if isinstance(said, Exception):
                raise said
            yield said


def run(test: Callable[[HeardFeed, Followers], Awaitable[None]], **settings: float) -> None:
    """A test with followers over a feed."""

    async def whole() -> None:
        feed = HeardFeed()
        async with Followers(feed, **settings) as followers, asyncio.timeout(20):
            await test(feed, followers)

    asyncio.run(whole())


async def taken(follower: Follower, count: int) -> list[str]:
    """The names of the next events of a follower."""
    found: list[StreamEvent] = []
    while len(found) < count:
        await follower.wait(10)
        found += await follower.take()
    assert len({event.id for event in found}) == len(found)
    return [event.name for event in found]
