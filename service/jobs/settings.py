"""What every process of the job plane can be told from outside: one environment variable per field, in capitals."""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _seconds(value: object) -> object:
    """A number of seconds, as the environment gives it; pydantic reads whole ones only."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value  # "PT5M": pydantic's to read, or to refuse


Span = Annotated[timedelta, BeforeValidator(_seconds)]


class PlaneSettings(BaseSettings):
    """What every process of the job plane reads."""

    model_config = SettingsConfigDict(frozen=True)

    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis of the job records and the queues.")
    storage_url: str = Field(
        "data/artifacts",
        description="Where artifacts are kept: a directory, file:///..., s3://bucket/prefix, "
        "s3+http://KEY:SECRET@host:port/bucket/prefix?public=https://...",
        repr=False,
    )
