"""What can be set of the reaper: one environment variable per field, of the same name in capitals."""

from datetime import timedelta

from pydantic import Field

from process.settings import MetricsSettings, Span


class ReaperSettings(MetricsSettings):
    """The reaper's settings."""

    sweep_interval: Span = Field(
        timedelta(seconds=2), description="How often the reaper looks for what was lost; seconds."
    )
    max_attempts: int = Field(
        3, ge=1, description="How often a job is begun whose workers are lost, before it fails for good."
    )
