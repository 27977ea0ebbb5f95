"""`python -m tools.settings_table`: the settings of all programs as a table, from the code.

With --write it is put into docs/settings.md, between its two markers.
"""

from datetime import timedelta
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from outbox.settings import OutboxSettings
from reaper.settings import ReaperSettings
from router.settings import RouterSettings
from service.settings import Settings
from tools.markdown import print_or_put, table
from worker.settings import WorkerSettings

DOCUMENT = Path(__file__).parents[1] / "docs" / "settings.md"
READERS: dict[str, type[BaseSettings]] = {
    "API": Settings,
    "worker": WorkerSettings,
    "reaper": ReaperSettings,
    "outbox": OutboxSettings,
    "router": RouterSettings,
}
PART = "settings"


def settings_table() -> str:
    """A row per setting: its variable, its default, who reads it, what it is."""
    readers: dict[str, list[str]] = {}
    fields: dict[str, FieldInfo] = {}
    for reader, settings in READERS.items():
        for name, field in settings.model_fields.items():
            readers.setdefault(name, []).append(reader)
            fields.setdefault(name, field)
    return table(
        ("variable", "default", "read by", ""),
        [
            (
                f"`{name.upper()}`",
                _shown(None if field.is_required() else field.default),
                ", ".join(readers[name]),
                field.description,
            )
            for name, field in fields.items()
        ],
    )


def _shown(default: object) -> str:
    value = int(default.total_seconds()) if isinstance(default, timedelta) else default
    return f"`{value}`" if value not in ("", None) else ""


if __name__ == "__main__":
    print_or_put(__doc__.splitlines()[0], DOCUMENT, PART, settings_table())
