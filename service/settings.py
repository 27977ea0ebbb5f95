"""What can be set from outside: one environment variable per field, of the same name in capitals."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from service.jobs.settings import MetricsSettings, PlaneSettings, Span


class ReaperSettings(MetricsSettings):
    """The reaper's settings."""

    sweep_interval: Span = Field(
        timedelta(seconds=2), description="How often the reaper looks for what was lost; seconds."
    )
    max_attempts: int = Field(
        3, ge=1, description="How often a job is begun whose workers are lost, before it fails for good."
    )


class OutboxSettings(MetricsSettings):
    """The settings of the process that tells of ended jobs."""

    webhook_url: str = Field("", description="Told of every job that has ended, by POST; nobody where empty.")


class Settings(PlaneSettings):
    """The API's settings; read once, in `service.__main__`, and handed on."""

    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the API listens on.")
    public_url: str = Field(
        "", description="Where clients reach the API, for the URLs of artifacts; where empty, http://HOST:PORT."
    )
    models_file: Path = Field(Path("models.toml"), description="The models this installation offers.")
    artifact_secret: str = Field(
        "",
        description="Signs the URLs of artifacts in a directory; where empty, made once and kept in that directory.",
        repr=False,
    )
    url_lifetime: Span = Field(timedelta(hours=1), description="How long an artifact's URL works, in seconds.")
    job_lifetime: Span = Field(
        timedelta(days=1), description="How long a job's record and artifacts are kept after its end; seconds."
    )
    queue_limit: Span = Field(
        timedelta(days=1), description="How long a job may wait for a worker before it expires; seconds."
    )
    max_body_bytes: int = Field(262_144, ge=1, description="The largest request body that is read.")

    @property
    def base_url(self) -> str:
        """`public_url`, or what follows from host and port; without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")
