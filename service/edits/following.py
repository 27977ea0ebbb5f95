"""How clients follow an edit: by waiting, by asking whether anything is new, or by its events as they come.

A job's events lie in a Redis stream that ends with the job. Its ids are those of the server-sent events, so that a
client which comes back with the last one it saw (`Last-Event-ID`) misses nothing.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import redis

from jobs.errors import JobNotFound
from jobs.follow.followed import Follower, StreamEvent
from jobs.model import Job, JobStatus
from jobs.redis.store import AsyncJobStore, Place

#: Seconds a request may wait at most (RFC 7240 leaves it to the server), and a stream of events be open.
LONGEST_WAIT, LONGEST_STREAM = 60.0, 600.0
#: Seconds until a stream that could not be read is read again.
RETRY = 1.0
#: Characters of an If-None-Match that are read: a tag of ours has 20.
MOST_TAGS = 4_096
#: Ids of a Redis stream.
EVENT_ID = re.compile(r"\d{1,20}-\d{1,20}")
#: What takes an execution's previews away; "queued" again is what a job is that was handed back.
_GONE_WITH = frozenset({"queued", "retrying", "failed", "canceled"})


async def events(
    job: Job, store: AsyncJobStore, follower: Follower, *, quiet: float
) -> AsyncIterator[Sequence[StreamEvent]]:
    """What happens to a job after a follower's place, in groups, until it has ended or `LONGEST_STREAM` is over.

    Args:
        quiet: seconds after which a group without events is given where there were none.
    """
    now = time.monotonic()
    deadline, quiet_until = now + LONGEST_STREAM, now + quiet
    while not follower.has_left and now < deadline:
        await follower.wait(max(0.0, min(deadline, quiet_until) - now))
        try:
            found = await follower.take()
            if follower.lost_stream:
                job = await store.get(job.id)
        except redis.RedisError:
            # The stream is open, so there is no status left to say it with: the client is served once Redis is back.
            await asyncio.sleep(RETRY)
            found = ()
        except JobNotFound:
            return
        now = time.monotonic()
        if shown := there(found):
            yield shown
            quiet_until = now + quiet
        elif now >= quiet_until:
            yield ()
            quiet_until = now + quiet
        # A client that came back with the last id there is has seen everything.
        if follower.is_done or (job.status.is_terminal and follower.stream.is_read and not found):
            return


def there(found: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
    """Events without the previews that are gone by now: those of an execution that is over.

    Previews of an execution that has succeeded are kept with the other artifacts. A client that follows an edit as it
    runs has received the others while they were there.
    """
    gone_until = max((index for index, event in enumerate(found) if event.name in _GONE_WITH), default=-1)
    return [event for index, event in enumerate(found) if index > gone_until or event.name != "preview"]


async def ended(
    record: Mapping[str, Any], store: AsyncJobStore, follower: Follower, seconds: float
) -> Mapping[str, Any]:
    """The record of a job, as plain data, once it has ended, or as it stands after so many seconds.

    Raises:
        JobNotFound: it was erased meanwhile.
    """
    deadline, job_id = time.monotonic() + min(seconds, LONGEST_WAIT), record["id"]
    while not has_ended(record) and not follower.has_left:
        await follower.wait(max(0.0, deadline - time.monotonic()))
        is_over = time.monotonic() >= deadline
        try:
            if follower.stream.end is not None:
                # All who waited for this end share one read of the record.
                return await follower.once("record", lambda: store.look(job_id))
            if is_over or follower.lost_stream:
                record = await store.look(job_id)
        except redis.RedisError:
            if is_over:
                raise
            await asyncio.sleep(RETRY)
        if is_over:
            break
    return record


def has_ended(record: Mapping[str, Any]) -> bool:
    """Whether a job is in a state that it ends in."""
    return JobStatus(record["status"]).is_terminal


def entity_tag(job_id: str, revision: int, *, place: Place | None, urls_last: timedelta | None) -> str:
    """A weak tag (RFC 9110, 8.8.1) of an answer about a job: another one whenever the answer says something else.

    Args:
        revision: of the job's record: each move makes another one.
        place: where it waits, if it does, which no move of its own changes.
        urls_last: how long the URLs in the answer work, if there are any: they are known for half as long.
    """
    tag = f"{job_id} {revision} {place}"
    if urls_last is not None:
        tag += f" {int(time.time() / (urls_last.total_seconds() / 2))}"
    return f'W/"{hashlib.sha256(tag.encode()).hexdigest()[:16]}"'


def is_known(tag: str, if_none_match: str) -> bool:
    """Whether a client has what a tag stands for, by its If-None-Match header (RFC 9110, 13.1.2)."""
    if len(if_none_match) > MOST_TAGS:
        return False  # answered whole
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in known or tag.removeprefix("W/") in known
