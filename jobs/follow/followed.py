"""One stream of events that clients follow, and each follower's place in it.

The followers of a stream share one log of its latest events. A follower is a place in that log: it takes what lies
behind its place, when its own connection is ready for it. So nothing is buffered for a slow follower, and what the log
holds no longer it reads from the stream itself, by id.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from jobs.follow.feed import START, Feed
from jobs.model import JobStatus

#: Events of a stream that are kept in memory. An edit of 50 steps has about as many.
LOG = 64
#: What a place in a stream may be at most: Redis keeps both halves in 64 bits.
_MOST = 2**64 - 1
#: Names of events that nothing follows: an edit's ends, and a batch's one.
ENDS = frozenset({"ended", *(str(status) for status in JobStatus if status.is_terminal)})

Place = tuple[int, int]


def place_of(event_id: str) -> Place:
    """Where an event stands, from its id; ids are not in order as texts."""
    milliseconds, number = event_id.split("-")
    return min(int(milliseconds), _MOST), min(int(number), _MOST)


def id_of(place: Place) -> str:
    """The id of the event at a place."""
    return f"{place[0]}-{place[1]}"


class StreamEvent:
    """An event of a stream, shared by all its followers.

    Attributes:
        place, id: where it stands.
        name: "queued", "progress", ..., or the state that the edit ended in.
        detail: the rest of what the stream says.
        wire: how it is sent, once a follower has encoded it; `wire_until` says how long that holds.
    """

    __slots__ = ("detail", "id", "name", "place", "wire", "wire_until")

    def __init__(self, event_id: str, text: str) -> None:
        self.place, self.id = place_of(event_id), event_id
        self.name, _, self.detail = text.partition(" ")
        self.wire, self.wire_until = b"", float("-inf")

    @property
    def is_end(self) -> bool:
        """Whether nothing comes after it."""
        return self.name in ENDS


class Followed:
    """A stream that has followers.

    Attributes:
        key: the stream's.
        followers: who follows it.
        is_read: whether the stream was read at least once.
        missing: how often a read found no such stream.
        checked_at: when it was last read.
        end: its last event, once it has come.
    """

    def __init__(self, key: str, wake: Callable[["Follower"], None]) -> None:
        self.key, self._wake = key, wake
        self.followers: set[Follower] = set()
        self.log: deque[StreamEvent] = deque()
        #: Places of the last event, and of the last one that the log has dropped.
        self.last, self.dropped = place_of(START), place_of(START)
        self.is_read, self.missing, self.checked_at = False, 0, float("-inf")
        self.end: StreamEvent | None = None
        self._shared: dict[str, asyncio.Task[Any]] = {}

    @property
    def is_read_by_steps(self) -> bool:
        """Whether any follower waits for more than the end, which is still to come."""
        return self.end is None and any(not follower.only_end for follower in self.followers)

    def hear(self, before: str, event_id: str, text: str) -> bool:
        """Take an event that was heard; False where the stream must be read, because one in between is missing."""
        if not self.is_read:
            return False
        if place_of(event_id) <= self.last:
            return True
        if place_of(before) != self.last:
            return False
        self._take([StreamEvent(event_id, text)])
        return True

    def read(self, entries: Sequence[tuple[str, str]] | None) -> None:
        """Take the result of reading the stream after `last`; None if the stream does not exist."""
        was_read, self.is_read = self.is_read, True
        if entries is None:
            self.missing += 1
        else:
            events = (StreamEvent(*entry) for entry in entries)
            # What was heard while the read was under way is in both.
            self._take([event for event in events if event.place > self.last])
        if entries is None or not was_read:
            for follower in self.followers:
                self._wake(follower)

    def _take(self, events: Sequence[StreamEvent]) -> None:
        if not events:
            return
        self.log.extend(events)
        self.last = events[-1].place
        if events[-1].is_end:
            self.end = events[-1]
        while len(self.log) > LOG:
            self.dropped = self.log.popleft().place
        for follower in self.followers:
            if follower.awaits(events[-1]):
                self._wake(follower)

    def shared(self, name: str, make: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """A task that runs `make` once for all followers of this stream; one that failed is run again."""
        task = self._shared.get(name)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._shared[name] = asyncio.create_task(make())
        return task


class Follower:
    """A place in a stream, of one client.

    Attributes:
        stream: which one.
        only_end: whether nothing but the stream's end is of interest.
        place: of the last event that was taken.
        has_left: whether the client is gone.
    """

    __slots__ = (
        "_feed",
        "_future",
        "_missing",
        "_timer",
        "_until",
        "_wake",
        "has_left",
        "is_queued",
        "only_end",
        "place",
        "stream",
    )

    def __init__(
        self, stream: Followed, feed: Feed, wake: Callable[["Follower"], None], *, after: str, only_end: bool
    ) -> None:
        self.stream, self._feed, self._wake, self.only_end = stream, feed, wake, only_end
        self.place = place_of(after)
        self.has_left = self.is_queued = False
        self._missing = stream.missing
        self._future: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0

    def awaits(self, event: StreamEvent) -> bool:
        """Whether it is to be woken for an event."""
        return event.is_end or not self.only_end

    @property
    def is_done(self) -> bool:
        """Whether it has taken the last event of a stream that has ended."""
        return self.stream.end is not None and self.place >= self.stream.end.place

    @property
    def lost_stream(self) -> bool:
        """Whether the stream was missing when it was last read; asking resets it."""
        missing, self._missing = self._missing != self.stream.missing, self.stream.missing
        return missing

    def leave(self) -> None:
        """The client is gone: a task that waits for this follower goes on at once."""
        self.has_left = True
        self.resume()

    def resume(self) -> None:
        """Have `wait` return."""
        self.is_queued = False
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Until there is something to do: an event, the client's leaving, a missing stream, or the time is over.

        It may return sooner: the caller looks at what there is, and waits again.
        """
        if self.has_left or self._has_news():
            return
        loop = asyncio.get_running_loop()
        self._future, self._until = loop.create_future(), loop.time() + seconds
        # A timer that rings too early is set again then: to cancel one for each event costs more than the event.
        if self._timer is None or self._timer.when() > self._until:
            self._set_timer(loop)
        try:
            await self._future
        finally:
            self._future = None

    async def once(self, name: str, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What `make` gives, made once for all followers of the stream; raises what it raises."""
        task = self.stream.shared(name, make)
        if not task.done():
            await asyncio.wait([task])
            # All who have waited for it go on one after the other.
            self._future = asyncio.get_running_loop().create_future()
            self._wake(self)
            await self._future
        return task.result()

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._until, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._future is None:
            return
        if loop.time() < self._until:
            self._set_timer(loop)
        else:
            # Time runs out for many at once where many came at once: they are resumed in turn as well.
            self._wake(self)

    def close(self) -> None:
        """Nothing rings any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _has_news(self) -> bool:
        if not self.stream.is_read:
            return False
        if self._missing != self.stream.missing or self.stream.end is not None:
            return True
        return not self.only_end and self.place < self.stream.last

    async def take(self) -> Sequence[StreamEvent]:
        """The events after its place, which moves behind them; raises `redis.RedisError` where it has to read."""
        stream, place = self.stream, self.place
        if place >= stream.last:
            return ()
        if place >= stream.dropped:
            found = [event for event in stream.log if event.place > place]
        else:
            entries = (await self._feed.read({stream.key: id_of(place)}))[stream.key] or ()
            found = [StreamEvent(*entry) for entry in entries]
        # Where the stream has lost what the log has dropped, the log goes on after that.
        self.place = found[-1].place if found else stream.dropped
        return found
