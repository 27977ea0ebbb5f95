"""What can be set from outside: one environment variable per field, of the same name in capitals."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import Field, field_validator

from process.addresses import checked_url
from process.settings import MetricsSettings, PlaneSettings, Span
from service.http.cors import checked_origins
from service.http.prefixed import checked_public_url, prefix_of
from webhooks.signature import key_of

#: Hosts that nobody but this machine reaches.
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ReaperSettings(MetricsSettings):
    """The reaper's settings."""

    sweep_interval: Span = Field(
        timedelta(seconds=2), description="How often the reaper looks for what was lost; seconds."
    )
    max_attempts: int = Field(
        3, ge=1, description="How often a job is begun whose workers are lost, before it fails for good."
    )


class WebhookSettings(PlaneSettings):
    """What whoever takes the addresses of webhooks and whoever calls them must agree on."""

    webhook_private: bool = Field(
        False,
        description="Whether the webhooks that jobs name may have private addresses: for development and tests only.",
    )
    public_url: str = Field(
        "",
        description="Where clients reach the API, with the path that a proxy takes off if there is one; all links have "
        "that path, and the URLs of artifacts begin with all of it. Where empty, http://HOST:PORT.",
    )

    @field_validator("public_url")
    @classmethod
    def _base(cls, value: str) -> str:
        return checked_public_url(value)

    @property
    def prefix(self) -> str:
        """What stands before the paths of all links; "" where nothing does."""
        return prefix_of(self.public_url)


class OutboxSettings(WebhookSettings, MetricsSettings):
    """The settings of the process that tells of ended jobs."""

    webhook_url: str = Field(
        "",
        description="Told of the end of every job that names no webhook, by POST; nobody where empty. "
        "May be a private address.",
    )
    webhook_secret: str = Field(
        "",
        description="Signs webhooks: `python -m admin secret` makes one. Several, separated by spaces, "
        "sign side by side, so that receivers can change over. Unsigned where empty.",
        repr=False,
    )

    @field_validator("webhook_url")
    @classmethod
    def _callable(cls, value: str) -> str:
        return str(checked_url(value)) if value else value

    @field_validator("webhook_secret")
    @classmethod
    def _whole(cls, value: str) -> str:
        for secret in value.split():
            key_of(secret)
        return value

    @property
    def webhook_secrets(self) -> Sequence[str]:
        """Each of the secrets."""
        return self.webhook_secret.split()


class Settings(WebhookSettings):
    """The API's settings; read once, in `service.__main__`, and handed on."""

    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the API listens on.")
    cors_origins: str = Field(
        "",
        description="Origins of the web pages that may call the API from a browser, such as https://example.com, "
        "separated by spaces; * for any, none where empty.",
    )
    playground: bool = Field(True, description="Whether `/` is a page to try edits with; nothing is there otherwise.")
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
    backlog: int = Field(1000, ge=1, description="How many jobs of one model may wait; more are refused for a while.")
    streams_per_key: int = Field(
        64,
        ge=1,
        description="How many waits and event streams a key may have open at one API process, where it has no number "
        "of its own.",
    )
    max_body_bytes: int = Field(262_144, ge=1, description="The largest request body that is read.")
    max_image_bytes: int = Field(20_971_520, ge=1, description="The largest file of a picture that is read.")
    max_image_pixels: int = Field(50_000_000, ge=1, description="The largest picture that is read, in pixels.")
    image_seconds: int = Field(20, ge=1, description="How long reading one picture may compute; seconds.")
    # What 16 million pixels took at 24 bytes each, when those were the most: 50 million at 8, and the file.
    image_memory: int = Field(
        580_000_000,
        ge=64_000_000,
        description="The most memory that the process which reads a picture may take; bytes.",
    )
    images_at_once: int = Field(
        2,
        ge=1,
        description="How many pictures an API process reads at the same time, all but one of them of one key at most; "
        "each may take `IMAGE_MEMORY`.",
    )
    image_lifetime: Span = Field(
        timedelta(days=1), description="How long a picture is kept that no edit needs longer; seconds."
    )
    images_per_key: int = Field(1000, ge=1, description="How many pictures a key may keep.")
    image_urls: bool = Field(
        False, description="Whether edits may name pictures by URL, which the API then fetches: public addresses only."
    )
    image_url_seconds: Span = Field(timedelta(seconds=20), description="How long fetching one may take; seconds.")
    image_url_private: bool = Field(
        False, description="Whether these URLs may lead to private addresses: for development and tests only."
    )

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        return " ".join(checked_origins(value))

    @property
    def origins(self) -> Sequence[str]:
        """Each of the origins."""
        return self.cors_origins.split()

    @property
    def is_on_loopback(self) -> bool:
        """Whether nobody but this machine reaches `host`."""
        return self.host in LOOPBACK

    @property
    def base_url(self) -> str:
        """`public_url`, or what follows from host and port; without a slash at its end."""
        return self.public_url or f"http://{self.host}:{self.port}"
