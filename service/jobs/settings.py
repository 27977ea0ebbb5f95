"""What every process of the job plane can be told from outside: one environment variable per field, in capitals."""

import sys
from datetime import timedelta
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.jobs.logs import LogFormat


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
    log_format: LogFormat = Field(
        "auto", description='How lines on standard error look: "json", "text"; "auto" is text on a terminal, else JSON.'
    )


class MetricsSettings(PlaneSettings):
    """What a process beside the API reads to show its metrics; the API shows its own at `/metrics`."""

    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port on which the process shows its metrics, one of its own; 0 for none."
    )
    metrics_host: str = Field("127.0.0.1", description="Address on which it shows them.")


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def settings_or_exit(kind: type[AnySettings]) -> AnySettings:
    """The settings as the environment gives them; ends the process, naming each variable, where one cannot be."""
    try:
        return kind()
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors())
        sys.exit("these settings cannot be:\n  " + "\n  ".join(wrong))
