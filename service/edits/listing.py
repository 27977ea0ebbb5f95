"""A caller's edits, page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from jobs.labels import labelled
from jobs.model import Job, JobStatus
from service.api_keys import Caller
from service.http.cursors import cursor_of, place_of
from service.plane import Plane

#: Reads of one listing: with a rare state it would else go through everything that its owner ever posted.
PAGE_READS = 10
#: Where nothing of it is asked for.
NO_METADATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Page:
    """Some of a caller's edits, the newest first; `cursor` asks for the next ones, None if there are none."""

    jobs: Sequence[Job]
    cursor: str | None


async def page(
    plane: Plane,
    caller: Caller,
    *,
    status: JobStatus | None,
    cursor: str | None,
    limit: int,
    subject: str | None = None,
    metadata: Mapping[str, str] = NO_METADATA,
) -> Page:
    """A page of a caller's edits; raises `InvalidCursor`."""
    found: list[Job] = []
    before = None if cursor is None else place_of(cursor)
    # As many looks as make a page of everybody's patience: a page may be short, and its cursor goes on.
    for _ in range(PAGE_READS):
        owned = await plane.store.owned(caller.owner, before, limit)
        for each in owned:
            before = each.at
            if (
                each.job is not None
                and status in (None, each.job.status)
                and labelled(each.job.labels, subject, metadata)
            ):
                found.append(each.job)
                if len(found) == limit:
                    return Page(found, cursor_of(before))
        if len(owned) < limit:
            return Page(found, None)
    return Page(found, before and cursor_of(before))
