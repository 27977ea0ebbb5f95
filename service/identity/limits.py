"""Limits that a token's claim or a setting says, checked number by number."""

from typing import Annotated

from pydantic import ConfigDict, Field

from service.api_keys import KeyLimits

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1, le=10**12)]


class ClaimedLimits(KeyLimits):
    """The limits of a key, as a claim or a setting says them: every number is checked, and no name is passed over.

    A limit that is misspelt would else be none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_minute: _Positive | None = None
    burst: _Count = 20
    active: _Count | None = None
    waiting: _Count | None = None
    streams: _Count | None = None
    gpu_seconds_a_day: _Positive | None = None
    pictures_a_day: _Count | None = None
    bytes_a_day: _Count | None = None
