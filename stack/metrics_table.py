"""`python -m stack.metrics_table`: every metric as the table of docs/operations.md, from the registries.

With --write it is put into that file, between its two markers.
"""

import argparse
from pathlib import Path

from service.jobs.metrics import DECLARED

DOCUMENT = Path(__file__).parents[1] / "docs" / "operations.md"
START, END = "<!-- metrics -->\n", "<!-- /metrics -->"


def metrics_table() -> str:
    """A row per metric: its name, its type, its labels, who measures it, what it is."""
    rows = ["| metric | type | labels | measured by | |", "|---|---|---|---|---|"]
    for metric in DECLARED:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        by = ", ".join(metric.measured_by)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {by} | {metric.meaning} |")
    return "\n".join(rows) + "\n"


def with_table(text: str) -> str:
    """The document with its table renewed."""
    head, rest = text.split(START)
    return f"{head}{START}{metrics_table()}{END}{rest.split(END)[1]}"


def main() -> None:
    """Print the table, or put it where it belongs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put it into docs/operations.md")
    if parser.parse_args().write:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(metrics_table(), end="")


if __name__ == "__main__":
    main()
