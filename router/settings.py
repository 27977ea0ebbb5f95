"""What can be set of the router: one environment variable per field, of the same name in capitals."""

from collections.abc import Mapping

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from process.logs import LogFormat
from process.settings import ShownMetrics
from router.cells import Cell, cells_of


class RouterSettings(ShownMetrics):
    """The router's settings."""

    model_config = SettingsConfigDict(frozen=True)

    cells: str = Field(
        description="The cells, each as NAME=URL, separated by spaces. Ids without a cell are those of the first.",
    )
    host: str = Field("127.0.0.1", description="Address the router listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the router listens on.")
    log_format: LogFormat = Field("auto", description='How lines on standard error look: "json", "text" or "auto".')
    # The same bounds as those of a cell's API: what it would not read is not sent to it.
    max_body_bytes: int = Field(262_144, ge=1, description="The largest request body that is read.")
    max_image_bytes: int = Field(20_971_520, ge=1, description="The largest file of a picture that is read.")
    connections: int = Field(8192, ge=1, description="How many connections are open at most.")
    head_seconds: float = Field(20, gt=0, description="How long the header of a request may take; seconds.")
    body_seconds: float = Field(30, gt=0, description="How long a body is waited for; seconds.")
    idle_seconds: float = Field(65, gt=0, description="How long a connection without a request is kept; seconds.")
    send_seconds: float = Field(60, gt=0, description="How long a client may take to read; seconds.")
    min_rate: float = Field(1000, gt=0, description="The slowest line that is waited for; bytes a second.")

    @field_validator("cells")
    @classmethod
    def _cells(cls, value: str) -> str:
        return " ".join(f"{cell.name}={cell.url}" for cell in cells_of(value).values())

    @property
    def by_name(self) -> Mapping[str, Cell]:
        """The cells by their names."""
        return cells_of(self.cells)
