"""`python -m benchmarks.quality.table < report.json`: the report as the Markdown tables of docs/quality.md."""

import json
import sys
from collections.abc import Iterable, Mapping

from benchmarks.quality.changes import KINDS

FIGURES = {
    "success": "Success, generated sources",
    "preservation_psnr": "Preservation outside what may change, dB, generated sources",
    "counterfactual_psnr": "Nearness to the true edited picture, dB, drawn sources",
}


def tables(report: Mapping) -> str:
    """The judge's and the model's figures, and a table for each figure of the methods, over all and by kind."""
    parts = [markdown([report["judge"]]), markdown([report["model"]])]
    for figure, title in FIGURES.items():
        rows = []
        for name, of in report["methods"].items():
            by_kind = {kind: of["by_kind"][kind][figure] for kind in KINDS}
            rows.append({"method": name, "all": of[figure], **by_kind})
        kinds = [key for key in rows[0] if any(row[key] is not None for row in rows)]
        parts.append(f"{title}:\n\n" + markdown([{key: row[key] for key in kinds} for row in rows]))
    return "\n".join(parts)


def markdown(rows: Iterable[Mapping]) -> str:
    """Rows of the same keys as a Markdown table."""
    rows = list(rows)
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([shown(value) for value in row.values()] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(value: object) -> str:
    return "" if value is None else str(value)


if __name__ == "__main__":
    print(tables(json.load(sys.stdin)), end="")
