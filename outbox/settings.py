"""What can be set of the outbox: one environment variable per field, of the same name in capitals."""

from collections.abc import Sequence

from pydantic import Field, field_validator

from process.addresses import checked_url
from process.settings import MetricsSettings
from webhooks.settings import WebhookSettings
from webhooks.signature import key_of


class OutboxSettings(WebhookSettings, MetricsSettings):
    """The settings of the process that sends webhooks."""

    webhook_url: str = Field(
        "",
        description="Gets a POST at the end of every job that names no webhook; none is sent if empty. "
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
