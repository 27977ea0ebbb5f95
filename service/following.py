"""How clients follow an edit: by waiting, by asking whether anything is new, or by its events as they come.

A job's events lie in a Redis stream that ends with the job. Its ids are those of the server-sent events, so that a
client which comes back with the last one it saw (`Last-Event-ID`) misses nothing.
"""

import hashlib
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from service.jobs.errors import JobNotFound
from service.jobs.model import Job, JobStatus
from service.jobs.store import AsyncJobStore

#: Seconds a request may wait at most (RFC 7240 leaves it to the server), and a stream of events be open.
LONGEST_WAIT, LONGEST_STREAM = 60.0, 600.0
#: Ids of a Redis stream.
EVENT_ID = re.compile(r"\d{1,20}-\d{1,20}")
#: What takes an execution's previews away; "queued" again is what a job is that was handed back.
_GONE_WITH = frozenset({"queued", "retrying", "failed", "canceled"})
_ENDS = frozenset(str(status) for status in JobStatus if status.is_terminal)


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to a job.

    Attributes:
        id: where it stands in the job's stream.
        name: "queued", "started", "progress", "preview", "retrying", or the state it ended in.
        detail: the rest of what the stream says.
    """

    id: str
    name: str
    detail: str = ""

    @property
    def is_end(self) -> bool:
        """Whether nothing comes after it."""
        return self.name in _ENDS

    @classmethod
    def of(cls, event_id: str, text: str) -> "JobEvent":
        """An entry of the stream."""
        name, _, detail = text.partition(" ")
        return cls(event_id, name, detail)


async def events(job: Job, store: AsyncJobStore, *, after: str = "0-0") -> AsyncIterator[JobEvent]:
    """What happens to a job after an event, until it has ended or `LONGEST_STREAM` is over."""
    deadline = time.monotonic() + LONGEST_STREAM
    while (left := deadline - time.monotonic()) > 0:
        found = await store.events(job.id, after, left)
        for event in there(found):
            yield event
            if event.is_end:
                return
        after = found[-1][0] if found else after
        if not found:
            try:
                job = await store.get(job.id)
            except JobNotFound:
                return
            if job.status.is_terminal:
                return  # the client has seen all of it before


def there(entries: Sequence[tuple[str, str]]) -> Sequence[JobEvent]:
    """Entries of the stream without the previews that are gone by now: those of an execution that is over.

    Of one that has succeeded they are kept with the rest. Whoever follows an edit as it runs has been told of the
    others while they were there.
    """
    events = [JobEvent.of(*entry) for entry in entries]
    gone_until = max((place for place, event in enumerate(events) if event.name in _GONE_WITH), default=-1)
    return [event for place, event in enumerate(events) if place > gone_until or event.name != "preview"]


async def ended(job: Job, store: AsyncJobStore, seconds: float) -> Job:
    """The job once it has ended, or as it stands after so many seconds."""
    deadline = time.monotonic() + min(seconds, LONGEST_WAIT)
    # First where the stream stands, then the record: what happens between the two is seen twice and not missed.
    seen = await store.events(job.id, "0-0", 0)
    after, job = seen[-1][0] if seen else "0-0", await store.get(job.id)
    while not job.status.is_terminal and (left := deadline - time.monotonic()) > 0:
        found: Sequence[tuple[str, str]] = await store.events(job.id, after, left)
        after = found[-1][0] if found else after
        if not found or JobEvent.of(*found[-1]).is_end:
            job = await store.get(job.id)
    return await store.get(job.id)


def entity_tag(job: Job, url_lifetime: timedelta) -> str:
    """A weak tag (RFC 9110, 8.8.1): another one after each move, and while the URLs given with it still work."""
    tag = f"{job.id}-{job.revision}"
    if job.artifacts:
        tag += f"-{int(time.time() / (url_lifetime.total_seconds() / 2))}"
    return f'W/"{hashlib.sha256(tag.encode()).hexdigest()[:16]}"'


def is_known(tag: str, if_none_match: str) -> bool:
    """Whether a client has what a tag stands for, by its If-None-Match header (RFC 9110, 13.1.2)."""
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in known or tag.removeprefix("W/") in known
