"""What can be set of the API: one environment variable per field, of the same name in capitals."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, FilePath, field_validator

from layers.cors import checked_origins
from layers.hosts import ANY, checked_hosts
from process.cell import CELL
from process.settings import Span
from service.identity.settings import IdentitySettings
from webhooks.settings import WebhookSettings

#: Hosts that nobody but this machine reaches.
LOOPBACK = ("127.0.0.1", "localhost", "::1")

#: Of a deadline that somebody at the other end of a connection is given.
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(WebhookSettings, IdentitySettings):
    """The API's settings; read once, in `service.__main__`, and handed on."""

    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the API listens on.")
    cell: str = Field(
        "",
        pattern=rf"^({CELL})?$",
        description="Name of this cell, which new ids begin with, such as e1; empty where there is one installation "
        "(docs/cells.md). A letter, then up to 15 letters and digits, all small.",
    )
    cors_origins: str = Field(
        "",
        description="Origins of the web pages that may call the API from a browser, such as https://example.com, "
        "separated by spaces; * for any, none if empty.",
    )
    allowed_hosts: str = Field(
        "",
        description="Hosts that requests may name in their Host header, separated by spaces: example.com, "
        "*.example.com for all below it, * for any. Loopback names and the host of `PUBLIC_URL` always may. Where "
        "empty, no other may if `HOST` is on loopback, and any may if it is not. `/livez`, `/readyz` and `/metrics` "
        "answer under any host unless `HOST` is on loopback.",
    )
    mcp: bool = Field(
        False,
        description="Whether agents find edits as tools of the Model Context Protocol at `/mcp` (docs/agents.md). It "
        "takes more memory, and a longer start.",
    )
    playground: bool = Field(True, description="Whether `/` is a page to try edits with; nothing is there otherwise.")
    models_file: Path = Field(Path("models.toml"), description="The models this installation offers.")
    models_file_seconds: float = Field(
        5,
        ge=0,
        allow_inf_nan=False,
        description="How often the API looks whether the models file has changed, in seconds; 0 for never. SIGHUP has "
        "it read at once.",
    )
    artifact_secret: str = Field(
        "",
        description="Signs the URLs of artifacts in a directory; where empty, made once and kept in that directory.",
        repr=False,
    )
    url_lifetime: Span = Field(timedelta(hours=1), description="How long an artifact's URL works, in seconds.")
    job_lifetime: Span = Field(
        timedelta(days=1), description="How long a job's record and artifacts are kept after its end; seconds."
    )
    job_lifetime_most: Span | None = Field(
        None, description="The longest that a request may have its edit kept (`keep_for`); `JOB_LIFETIME` if absent."
    )
    unstored_lifetime: Span = Field(
        timedelta(minutes=10),
        description='How long an edit with `"store": false` is kept after its end, if it is not downloaded; seconds. '
        "Such edits need `ARTIFACT_SECRET` unless artifacts lie in a directory.",
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
    connections: int = Field(
        8192,
        ge=1,
        description="How many connections an API process has open at most. Where there are as many, the one is ended "
        "whose client has done nothing for longest; where each waits for the service, a further one is refused.",
    )
    head_seconds: Seconds = Field(20, description="How long the header of a request may take to come; seconds.")
    body_seconds: Seconds = Field(
        30, description="How long a body is waited for, beside one second for each `MIN_RATE` bytes of it; seconds."
    )
    idle_seconds: Seconds = Field(
        65,
        description="How long a connection without a request is kept; seconds. A proxy in front should keep its own "
        "shorter: many keep theirs for 60.",
    )
    send_seconds: Seconds = Field(
        60,
        description="How long a client may take to read what is sent, beside one second for each `MIN_RATE` bytes that "
        "it reads; seconds.",
    )
    min_rate: float = Field(
        1000, gt=0, allow_inf_nan=False, description="The slowest line that is waited for; bytes a second."
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
    trust_anchors: FilePath | None = Field(
        None,
        description="Certificates, in PEM, of those whose Content Credentials `POST /v1/verifications` calls trusted; "
        "nobody's if absent.",
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

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: str) -> str:
        return " ".join(checked_hosts(value))

    @property
    def hosts(self) -> Sequence[str]:
        """Each of the hosts that requests may name; on another address than loopback any, where none is set."""
        return self.allowed_hosts.split() or ([] if self.is_on_loopback else [ANY])

    @property
    def is_on_loopback(self) -> bool:
        """Whether nobody but this machine reaches `host`."""
        return self.host in LOOPBACK

    @property
    def is_open_without_keys(self) -> bool:
        """Whether everybody is let in while there is no key: on loopback, where no identity provider is set."""
        return self.is_on_loopback and not self.jwt_issuer

    @property
    def base_url(self) -> str:
        """`public_url`, or what follows from host and port; without a slash at its end."""
        return self.public_url or f"http://{self.host}:{self.port}"
