"""Settings of webhooks that the API and the outbox share."""

from pydantic import Field, field_validator

from process.public_url import checked_public_url, prefix_of
from process.settings import PlaneSettings


class WebhookSettings(PlaneSettings):
    """What the API, which takes addresses of webhooks, and the outbox, which calls them, agree on."""

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
