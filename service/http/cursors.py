"""Cursors: a place in a caller's own list, and nothing but that: a time in milliseconds and an id."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from process.cell import PREFIX
from service.http.errors import InvalidCursor

Place = tuple[float, str]


def cursor_of(place: Place) -> str:
    """What a client gives to see what follows a place."""
    return urlsafe_b64encode(f"{place[0]:.0f} {place[1]}".encode()).decode().rstrip("=")


def place_of(cursor: str, ids: str = rf"{PREFIX}[0-9a-f]{{32}}") -> Place:
    """The place that a cursor is of; raises `InvalidCursor`.

    Args:
        ids: what the ids of the list look like.
    """
    try:
        place = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError as error:
        raise InvalidCursor from error
    if (found := re.fullmatch(rf"(\d{{1,15}}) ({ids})", place)) is None:
        raise InvalidCursor
    return float(found[1]), found[2]
