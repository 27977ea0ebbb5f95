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
from service.jobs.store import AsyncJobStore, Place

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
    deadline, after = time.monotonic() + min(seconds, LONGEST_WAIT), "0-0"
    while not job.status.is_terminal and (left := deadline - time.monotonic()) > 0:
        # The first turn gives what was told before: an end that came since the job was read is among it.
        told = [JobEvent.of(*each) for each in await store.events(job.id, after, left)]
        after = told[-1].id if told else after
        if not told or told[-1].is_end or time.monotonic() >= deadline:
            job = await store.get(job.id)
    return job


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
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in known or tag.removeprefix("W/") in known
