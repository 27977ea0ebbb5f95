"""`python -m admin keys`: API keys that are made, listed and revoked, with what each may ask for."""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from jobs.fairness import LEAST_WEIGHT, MOST_WEIGHT
from process.audit import NO_AUDIT, Audit
from service.api_keys import TRUSTED, ApiKey, KeyRing

_Number = TypeVar("_Number", int, float)

#: What a key may use in a day (UTC).
QUOTAS = ("gpu_seconds_a_day", "pictures_a_day", "bytes_a_day")
#: What `keys create` may say of a key, as `service.api_keys.ApiKey` has it.
KEY_LIMITS = ("per_minute", "burst", "active", "waiting", "weight", "streams", *QUOTAS)
#: The largest of them that counts something: what Redis's Lua counts exactly, and far beyond use.
MOST_COUNT = 10**12
#: Stands in the log of a deployment whose first key was made at an earlier start, and is not to be read there any more.
KEYS_ALREADY = (
    "there are keys already, and each is shown only when it is made. Another one: python -m admin keys create NAME "
    "(with compose: docker compose exec api python -m admin keys create NAME)"
)


def create_key(ring: KeyRing, arguments: argparse.Namespace, audit: Audit = NO_AUDIT) -> None:
    """A new key; its token is said once, or never if it was given."""
    token = None if arguments.token_file is None else _token(arguments.token_file)
    limits = {name: getattr(arguments, name) for name in KEY_LIMITS}
    given = {name: value for name, value in limits.items() if value is not None}
    try:
        made = ring.create(arguments.name, unless_any=arguments.unless_any, token=token, **given)
    except ValueError as error:
        sys.exit(f"{arguments.token_file}: {error}")
    if made is None:
        print(KEYS_ALREADY)
    else:
        audit.note("key_created", key=made[0].id, name=made[0].name)
        print(made[1] if token is None else f"the key {made[0].id} is that of {arguments.token_file}")


def _token(path: Path) -> str:
    """What a file holds, such as one of a Secret; ends the process where it cannot be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        sys.exit(f"{path}: it cannot be read: {error}; name a file with the token of a key in it")


def list_keys(ring: KeyRing) -> None:
    """Every key, without its secret."""
    for key in ring.all().values():
        limits = f"{key.per_minute or 'any number of'} edits a minute, {key.active or 'any number'} at a time"
        if key.waiting is not None:
            limits += f", {key.waiting} waiting"
        if key.weight != 1:
            limits += f", weight {key.weight:g}"
        if key.streams is not None:
            limits += f", {key.streams} waits and streams"
        for name in QUOTAS:
            if (most := getattr(key, name)) is not None:
                limits += f", {most:g} {name.replace('_', ' ')}"
        print(key.id, key.name, f"made {key.created_at:%F}", limits, "REVOKED" if key.revoked_at else "", sep="\t")


def revoke_key(ring: KeyRing, key_id: str, audit: Audit = NO_AUDIT) -> None:
    """Running jobs of the key go on; nobody can ask for them any more."""
    try:
        key = ring.revoke(key_id)
    except KeyError:
        sys.exit(f"there is no key {key_id}: `keys list` shows them")
    audit.note("key_revoked", key=key.id, name=key.name)
    print(f"{key.name} opens nothing any more, within {TRUSTED:g} s")


def export_keys(ring: KeyRing, ids: Sequence[str]) -> None:
    """Keys as `keys import` of another cell reads them, one a line: hashes of their secrets, not these."""
    keys = ring.all()
    if missing := [key_id for key_id in ids if key_id not in keys]:
        sys.exit(f"there is no key {', '.join(missing)}: `keys list` shows them")
    for key_id in ids or keys:
        print(keys[key_id].model_dump_json())


def import_keys(ring: KeyRing, lines: Iterable[str], audit: Audit = NO_AUDIT) -> None:
    """The keys of another cell; what is here already becomes as it is there, revoked ones too."""
    try:
        keys = [ApiKey.model_validate_json(line) for line in lines if line.strip()]
    except ValidationError:
        sys.exit("this is not what `keys export` prints: one JSON object a line")
    for key in keys:
        try:
            ring.take_over(key)
            audit.note("key_imported", key=key.id, name=key.name)
        except KeyError:
            sys.exit(f"there is another key {key.id} here, with another secret: revoke one of both")
    print(f"{len(keys)} keys are here as they are there")


def _read(text: str, read: Callable[[str], _Number], is_right: Callable[[_Number], bool], needed: str) -> _Number:
    """A number as an argument; raises `ArgumentTypeError`, which says what was needed."""
    with suppress(ValueError):
        if is_right(number := read(text)):
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is {needed}")


def _weight(text: str) -> float:
    needed = f"not from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}: give a share"
    return _read(text, float, lambda weight: LEAST_WEIGHT <= weight <= MOST_WEIGHT, needed)


def _positive(text: str) -> float:
    """With 0 nobody could say when there is more."""
    needed = "no number above 0: give one, or leave it out for no limit"
    return _read(text, float, lambda number: 0 < number < inf, needed)


def _count(text: str) -> int:
    needed = f"no whole number from 1 to {MOST_COUNT}: give one, or leave it out for no limit"
    return _read(text, int, lambda number: 1 <= number <= MOST_COUNT, needed)


def add_keys(actions: Any) -> None:
    """The arguments of `keys`, among the actions of the program."""
    keys = actions.add_parser("keys", help="API keys").add_subparsers(dest="keys", required=True)
    create = keys.add_parser("create", help="a new key, printed once")
    create.add_argument("name", help="the key's name in the list")
    create.add_argument("--per-minute", type=_positive, help="edits it may post a minute")
    create.add_argument("--burst", type=_count, help="edits it may post at once")
    create.add_argument("--active", type=_count, help="edits of it that may wait and run, both together")
    create.add_argument("--waiting", type=_count, help="edits of it that may wait; those that run are not counted")
    create.add_argument(
        "--weight", type=_weight, help=f"its share beside other keys, {LEAST_WEIGHT:g} to {MOST_WEIGHT:g} (1)"
    )
    create.add_argument(
        "--streams", type=_count, help="waits and event streams it may have open at each API process (STREAMS_PER_KEY)"
    )
    create.add_argument("--gpu-seconds-a-day", type=_positive, help="seconds of a device it may use in a day (UTC)")
    create.add_argument("--pictures-a-day", type=_count, help="pictures it may ask for in a day, sources included")
    create.add_argument("--bytes-a-day", type=_count, help="bytes that its edits may leave stored in a day")
    create.add_argument("--unless-any", action="store_true", help="nothing if there is a key already")
    create.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="the key's token, made elsewhere (p2p_ID_SECRET); it is made and printed otherwise",
    )
    export = keys.add_parser("export", help="keys for another cell, without their secrets, one a line")
    export.add_argument("ids", metavar="ID", nargs="*", help="these; all if none is named")
    keys.add_parser("import", help="keys that another cell exported, from standard input")
    keys.add_parser("list", help="every key, without its secret")
    keys.add_parser("revoke", help="a key opens nothing any more").add_argument("id", metavar="ID")
