"""Answers about what became of an edit's webhook."""

from datetime import datetime

from pydantic import BaseModel, Field

from jobs.model import Webhook
from webhooks.deliveries import Attempt


class DeliveriesView(BaseModel):
    """How sending an edit's webhook went."""

    webhook: Webhook | None = Field(description="The edit's own; null where it named none.")
    next_attempt_at: datetime | None = Field(description="Null where none follows.")
    attempts: tuple[Attempt, ...] = Field(description="The latest 50 at most, the oldest first.")
