"""`python -m admin usage`: what each key used on each day."""

import argparse
import json
from typing import Any

from jobs.redis.usage import UsageTotals
from jobs.usage import DayUsage, last_days
from service.api_keys import KeyRing

HEAD = ("day", "key", "name", "edits", "gpu seconds", "steps", "work", "bytes stored")


def add_usage(actions: Any) -> None:
    """The arguments of `usage`, among the actions of the program."""
    usage = actions.add_parser("usage", help="what each key used on each day")
    usage.add_argument("--days", type=_days, default=31, help="the last so many days, today included (31)")
    usage.add_argument("--key", metavar="ID", help="of this key alone")
    usage.add_argument("--json", action="store_true", help="one JSON object a line")


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 1 to 10000: give one")
    return int(text)


def used(totals: UsageTotals, arguments: argparse.Namespace) -> list[DayUsage]:
    """The totals that are asked for, the newest day first."""
    return [each for each in totals.of(last_days(arguments.days)) if arguments.key in (None, each.key)]


def usage_rows(found: list[DayUsage], ring: KeyRing) -> list[tuple[str, ...]]:
    """Totals as rows of `HEAD`."""
    names = {key.id: key.name for key in ring.all().values()}
    return [
        (
            f"{each.day:%F}",
            each.key,
            names.get(each.key, "-"),
            str(each.edits),
            f"{each.gpu_seconds:.3f}",
            str(each.steps),
            f"{each.work:.3f}",
            str(each.bytes_stored),
        )
        for each in found
    ]


def usage_lines(found: list[DayUsage]) -> str:
    """Totals for programs."""
    return "\n".join(json.dumps(each.model_dump(mode="json")) for each in found)
