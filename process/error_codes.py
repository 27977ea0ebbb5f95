"""Every stable code of an error, as data: where a program meets it, its HTTP status, what is wrong and what to do.

The rows are in `errors.toml`. Errors look themselves up here; docs/errors.md, openapi.yaml and the lists of both
clients are made from it. The sampler (`p2p.errors`) imports nothing of this project: a test holds its codes to the
table.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("errors.toml")


class Place(StrEnum):
    """Where a program meets a code."""

    ANSWER = "answer"  #: `code` of a problem document
    FIELD = "field"  #: `errors[].code` of a problem document
    NOTICE = "notice"  #: `notices[].code` of an edit that was accepted
    FAILURE = "failure"  #: `error.code` of an edit that failed
    DELIVERY = "delivery"  #: `error` of an attempt to send a webhook
    START = "start"  #: a program refuses to start
    LIBRARY = "library"  #: the sampler, called from Python


@dataclass(frozen=True, kw_only=True)
class ErrorCode:
    """A row of the table.

    Attributes:
        code: stable; a program looks at it.
        places: where a program meets it.
        status: of HTTP, if it is the code of a problem document.
        title: what is wrong.
        do: what to do about it.
    """

    code: str
    places: frozenset[Place]
    status: int | None
    title: str
    do: str

    @property
    def message(self) -> str:
        """What people read, if nothing more is known of the case."""
        return f"{self.title}: {self.do}"


@cache
def error_codes() -> Mapping[str, ErrorCode]:
    """Every row by its code, in the order of the file."""
    rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {
        code: ErrorCode(
            code=code,
            places=frozenset(map(Place, row["at"])),
            status=row.get("status"),
            title=row["title"],
            do=row["do"],
        )
        for code, row in rows.items()
    }


def message_of(code: str) -> str:
    """The message of an error that has nothing to fill in."""
    return error_codes()[code].message


def status_of(code: str) -> int | None:
    """The HTTP status of an error's code; None if it is no answer's."""
    row = error_codes().get(code)
    return row.status if row else None


def codes_at(place: Place) -> list[ErrorCode]:
    """The rows that a program meets in one place, sorted by code."""
    return sorted((row for row in error_codes().values() if place in row.places), key=lambda row: row.code)


def listed(place: Place) -> Callable[[dict[str, Any]], None]:
    """For a field of a pydantic model: lists a place's codes in its JSON Schema.

    `x-extensible-enum` and not `enum`: a later version may add codes, and a client must be able to read those too.
    """

    def add(schema: dict[str, Any]) -> None:
        schema["x-extensible-enum"] = [row.code for row in codes_at(place)]

    return add
