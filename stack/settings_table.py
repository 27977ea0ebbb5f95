"""`python -m stack.settings_table`: the settings of the API and the workers as the README's table, from the code.

With --write it is put into README.md, between its two markers.
"""

import argparse
from datetime import timedelta
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from service.settings import OutboxSettings, ReaperSettings, Settings
from worker.settings import WorkerSettings

README = Path(__file__).parents[1] / "README.md"
READERS: dict[str, type[BaseSettings]] = {
    "API": Settings,
    "worker": WorkerSettings,
    "reaper": ReaperSettings,
    "outbox": OutboxSettings,
}
START, END = "<!-- settings -->\n", "<!-- /settings -->"


def settings_table() -> str:
    """A row per setting: its variable, its default, who reads it, what it is."""
    readers: dict[str, list[str]] = {}
    fields: dict[str, FieldInfo] = {}
    for reader, settings in READERS.items():
        for name, field in settings.model_fields.items():
            readers.setdefault(name, []).append(reader)
            fields.setdefault(name, field)
    rows = ["| variable | default | read by | |", "|---|---|---|---|"]
    for name, field in fields.items():
        rows.append(
            f"| `{name.upper()}` | {_shown(field.default)} | {', '.join(readers[name])} | {field.description} |"
        )
    return "\n".join(rows) + "\n"


def _shown(default: object) -> str:
    value = int(default.total_seconds()) if isinstance(default, timedelta) else default
    return f"`{value}`" if value != "" else ""


def with_table(text: str) -> str:
    """A README with its table renewed."""
    head, rest = text.split(START)
    return f"{head}{START}{settings_table()}{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put it into README.md")
    if parser.parse_args().write:
        README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(settings_table(), end="")


if __name__ == "__main__":
    main()
