"""What jobs use: of each job in its record, and in total for each key and day.

A job that is tried again adds up its attempts, those included whose worker was lost or gave the job back: each of them
used the device. Of a lost attempt counts what its worker last reported, which is a quarter of a second old at most, or
a step. Bytes are those that the job's end left stored: nothing else is kept.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

#: How long a day's totals are kept, unless the setting USAGE_DAYS says otherwise.
USAGE_DAYS = 400


class JobUsage(BaseModel):
    """What a job used, all its attempts together."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    gpu_seconds: float = Field(0.0, description="Its share of the seconds of each step, all attempts together.")
    steps: int = Field(0, description="That were done, all attempts together.")
    rows: int = Field(0, description="Of a forward pass that it took: sources and targets, twice with guidance.")
    megapixels: float = Field(0.0, description="Of one of its pictures.")
    bytes_stored: int = Field(0, description="Of its artifacts, once it has succeeded.")

    def and_then(self, *, gpu_seconds: float, steps: int, rows: int, megapixels: float, bytes_stored: int) -> Self:
        """With one more attempt."""
        return self.model_copy(
            update={
                "gpu_seconds": round(self.gpu_seconds + gpu_seconds, 6),
                "steps": self.steps + steps,
                "rows": max(self.rows, rows),
                "megapixels": max(self.megapixels, megapixels),
                "bytes_stored": bytes_stored,
            }
        )


class DayUsage(BaseModel):
    """What one key's jobs used that ended on one day (UTC)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    day: date
    key: str
    edits: int = Field(0, description="That a worker had begun and that ended.")
    gpu_seconds: float = 0.0
    steps: int = 0
    work: float = Field(0.0, description="Rows times steps times megapixels.")
    bytes_stored: int = 0
    pictures: int = Field(0, description="That were asked for, of a key which may ask for so many a day.")


_EPOCH = date(1970, 1, 1)


def number_of(day: date) -> int:
    """A day as scripts count it: since 1970."""
    return (day - _EPOCH).days


def last_days(count: int) -> list[date]:
    """Today (UTC) and the days before it, the newest first."""
    today = datetime.now(UTC).date()
    return [today - timedelta(days=back) for back in range(count)]


def day_usages(day: date, fields: Mapping[str, str]) -> list[DayUsage]:
    """What a day's hash holds, by key: each field is a key's id and a name."""
    found: dict[str, dict[str, float]] = {}
    for field, value in fields.items():
        key, _, name = field.rpartition(" ")
        found.setdefault(key, {})[name] = float(value)
    return [DayUsage.model_validate({"day": day, "key": key, **found[key]}) for key in sorted(found)]
