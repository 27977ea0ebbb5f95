"""What can be set from outside: one environment variable per field, of the same name in capitals."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The API's settings; read once, in `service.__main__`, and handed on."""

    model_config = SettingsConfigDict(frozen=True)

    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the API listens on.")
    public_url: str = Field(
        "", description="Where clients reach the API, for the URLs of artifacts; where empty, http://HOST:PORT."
    )
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis of the job records and the queues.")
    models_file: Path = Field(Path("models.toml"), description="The models this installation offers.")
    storage_url: str = Field(
        "data/artifacts", description="Where artifacts are kept: a directory, file:///..., s3://bucket/prefix."
    )
    artifact_secret: str = Field(
        "",
        description="Signs the URLs of artifacts in a directory; where empty, made once and kept in that directory.",
        repr=False,
    )
    url_lifetime: timedelta = Field(timedelta(hours=1), description="How long an artifact's URL works, in seconds.")
    job_lifetime: timedelta = Field(
        timedelta(days=1), description="How long a job's record is kept after its creation, and after its end; seconds."
    )
    max_body_bytes: int = Field(262_144, ge=1, description="The largest request body that is read.")

    @property
    def base_url(self) -> str:
        """`public_url`, or what follows from host and port; without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")
