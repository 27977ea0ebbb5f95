"""A caller's edits, page by page: a cursor is a place in the caller's own list, and holds nothing but that."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from service.api_keys import Caller
from service.errors import InvalidCursor
from service.jobs.model import Job, JobStatus
from service.plane import Plane

_PLACE = re.compile(r"(\d{1,15}) ([0-9a-f]{32})")
#: Reads of one listing: with a rare state it would else go through everything that its owner ever posted.
PAGE_READS = 10


@dataclass(frozen=True)
class Page:
    """Some of a caller's edits, the newest first; `cursor` asks for the next ones, None where there are none."""

    jobs: Sequence[Job]
    cursor: str | None


async def page(plane: Plane, caller: Caller, *, status: JobStatus | None, cursor: str | None, limit: int) -> Page:
    """A page of a caller's edits; raises `InvalidCursor`."""
    found: list[Job] = []
    before = None if cursor is None else _place(cursor)
    # As many looks as make a page of everybody's patience: a page may be short, and its cursor goes on.
    for _ in range(PAGE_READS):
        owned = await plane.store.owned(caller.owner, before, limit)
        for each in owned:
            before = each.at
            if each.job is not None and status in (None, each.job.status):
                found.append(each.job)
                if len(found) == limit:
                    return Page(found, _cursor(before))
        if len(owned) < limit:
            return Page(found, None)
    return Page(found, before and _cursor(before))


def _cursor(place: tuple[float, str]) -> str:
    return urlsafe_b64encode(f"{place[0]:.0f} {place[1]}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[float, str]:
    try:
        place = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError as error:
        raise InvalidCursor from error
    if (found := _PLACE.fullmatch(place)) is None:
        raise InvalidCursor
    return float(found[1]), found[2]
