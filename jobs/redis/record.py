"""A job as its hash in Redis holds it: each field of `Job` as JSON; those that never change as one, a long one packed.

A client must read it with `decode_responses=True`.
"""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from pydantic_core import from_json, to_json

from jobs.errors import JobNotFound, NewerRecord
from jobs.model import Job
from jobs.versions import SCHEMA_VERSION
from p2p.spec import RECORDED

#: Characters of a value from which on it is kept packed: a finished job's list of artifacts is, and a long spec.
PACKED_FROM = 1000
#: Begins a value that is packed, and no JSON value.
_PACKED = "z"
#: Fields that are written once: together they take a third of what they would take apart.
FIXED = (
    "schema_version", "id", "owner", "model", "spec", "priority", "created_at", "queue_limit", "lifetime",
    "traceparent", "webhook",
)  # fmt: skip
#: What a field says that a record does not have, as `Job` has it and as plain data. Scripts look for a status.
_DEFAULTS = {
    name: field.default for name, field in Job.model_fields.items() if not (field.is_required() or name == "status")
}
_KNOWN, _FIXED = frozenset(Job.model_fields), frozenset(FIXED)
#: What may change, and what a new record leaves out of it.
_CHANGING = [(name, _DEFAULTS.get(name, ...)) for name in Job.model_fields if name not in _FIXED]
_fixed = itemgetter(*FIXED)
_ABSENT: Mapping[str, Any] = from_json(to_json(_DEFAULTS))


def encode(fields: Mapping[str, object]) -> dict[str, str]:
    """Fields of a job as the hash holds them: each value is JSON of its own, a long one packed.

    What never changes, which only a new record has, is one value; what says no more than its default is left out of a
    new record.
    """
    if not fields.keys() <= _KNOWN:
        raise TypeError(f"a job has no {', '.join(sorted(fields.keys() - _KNOWN))}")
    if "id" not in fields:
        return {name: _packed(to_json(value)) for name, value in fields.items() if name not in _FIXED}
    kept = {
        name: _packed(to_json(value))
        for name, default in _CHANGING
        if (value := fields[name]) is not default and value != default
    }
    kept["fixed"] = _packed(to_json(dict(zip(FIXED, _fixed(fields), strict=True))))
    return kept


def decode(fields: Mapping[str, str]) -> Job:
    """The job that a hash holds.

    Raises:
        NewerRecord: a newer version of this program wrote it.
    """
    text = _joined(fields)
    _parsed(text)
    return Job.model_validate_json(text, context=RECORDED)


def plain(fields: Mapping[str, str]) -> Mapping[str, Any]:
    """`decode` as plain JSON data, to be shown: unchecked, for a tenth of the time.

    Raises:
        NewerRecord: a newer version of this program wrote it.
    """
    return {**_ABSENT, **_parsed(_joined(fields))}


def plain_of(job: Job) -> Mapping[str, Any]:
    """A job as `plain` gives it."""
    return from_json(to_json(job))


def pairs(changes: Mapping[str, object]) -> list[str]:
    """`encode` as HSET takes it: names and values in turn."""
    return [part for pair in encode(changes).items() for part in pair]


def existing(job_id: str, fields: Mapping[str, str]) -> Job:
    """`decode` of what HGETALL gave; raises `JobNotFound` where that is nothing."""
    if not fields:
        raise JobNotFound(job_id)
    return decode(fields)


def _joined(fields: Mapping[str, str]) -> str:
    """The whole record as one JSON text."""
    texts = {name: _unpacked(text) if text[:1] == _PACKED else text for name, text in fields.items()}
    return texts.pop("fixed")[:-1] + "".join([f',"{name}":{text}' for name, text in texts.items()]) + "}"


def _parsed(text: str) -> dict[str, Any]:
    data = from_json(text)
    if data["schema_version"] > SCHEMA_VERSION:
        raise NewerRecord(data["schema_version"])
    return data


def _packed(text: bytes) -> str:
    # Base85 would be 7 % smaller, and is read by Python a hundred times as slowly.
    return text.decode() if len(text) < PACKED_FROM else _PACKED + b64encode(zlib.compress(text, 9)).decode()


def _unpacked(text: str) -> str:
    return zlib.decompress(b64decode(text[1:])).decode()
