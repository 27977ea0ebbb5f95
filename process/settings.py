"""The settings of every process of the job plane: one environment variable per field, in capitals.

What must not stand in the environment, which child processes and crash reports hold as well, may lie in files: with
`SECRETS_DIR=/run/secrets` a field that has no variable is read from the file of its name there (`redis_url` or
`REDIS_URL`), as Docker and Kubernetes mount secrets.
"""

import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from process.logs import LogFormat
from process.redis_url import checked_redis_url


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

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis of the job records and the queues: redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss://... "
        "for TLS (?ssl_ca_certs=FILE), unix:///PATH/TO/SOCKET, or "
        "redis+sentinel://USER:PASSWORD@HOST:26379,HOST:26379/NAME/DATABASE for one that fails over.",
        repr=False,
    )
    redis_replicas: int = Field(
        0,
        ge=0,
        le=10,
        description="How many replicas of Redis must have what is answered with 202, so that a failover does not lose "
        "it. Where fewer acknowledge it within a second, the answer is 503 `not_replicated`.",
    )
    storage_url: str = Field(
        "data/artifacts",
        description="Where artifacts are kept: a directory, file:///..., s3://bucket/prefix, "
        "s3+http://KEY:SECRET@host:port/bucket/prefix?public=https://...&region=...&session_token=...",
        repr=False,
    )
    log_format: LogFormat = Field(
        "auto", description='How lines on standard error look: "json", "text"; "auto" is text on a terminal, else JSON.'
    )

    audit_log: Path | None = Field(
        None,
        description="File to which keys made and revoked, erasures, refusals of moderation and admin commands are "
        "added, as JSON lines; nothing is noted if absent.",
    )
    usage_days: int = Field(
        400, ge=1, le=3650, description="How many days the totals of what each key used are kept (`admin usage`)."
    )

    @field_validator("redis_url")
    @classmethod
    def _one_server(cls, value: str) -> str:
        return checked_redis_url(value)


class ShownMetrics(BaseSettings):
    """What a process reads to show its metrics; the API shows its own at `/metrics`."""

    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port on which the process shows its metrics, one of its own; 0 for none."
    )
    metrics_host: str = Field("127.0.0.1", description="Address on which it shows them.")


class MetricsSettings(PlaneSettings, ShownMetrics):
    """What a process beside the API reads."""


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


#: The variable that names the directory of secret files.
SECRETS_DIR = "SECRETS_DIR"


def settings_or_exit(kind: type[AnySettings]) -> AnySettings:
    """The settings as the environment gives them; ends the process, naming each variable, where one cannot be."""
    folder = os.environ.get(SECRETS_DIR) or None
    if folder and not Path(folder).is_dir():
        sys.exit(f"{SECRETS_DIR}: {folder!r} is no directory: name the one that holds a file for each secret setting")
    try:
        return kind(_secrets_dir=folder)
    except SettingsError as error:
        # Its own message names the field, and never what is in the file.
        sys.exit(f"{SECRETS_DIR}: a file of {folder} cannot be read: {error} ({type(error.__cause__).__name__})")
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc'])).upper()}: {_said(each)}" for each in error.errors()]
        # One is one line, for logs that are read line by line.
        sys.exit(wrong[0] if len(wrong) == 1 else "these settings cannot be:\n  " + "\n  ".join(wrong))


def _said(error: Mapping[str, Any]) -> str:
    """What is wrong, without pydantic's own prefix before the message of a validator."""
    return str(error["msg"]).removeprefix("Value error, ")
