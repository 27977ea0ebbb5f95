"""`python -m benchmarks.table < report.json`: a report's rows as a Markdown table, as the docs hold it."""

import json
import sys


def table(report: dict) -> str:
    """A line per row of a report, in its own words and figures."""
    rows = report["rows"]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([_shown(value) for value in row.values()] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(value: object) -> str:
    return " to ".join(map(str, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    print(table(json.load(sys.stdin)), end="")
