"""`python -m benchmarks.quality.table < report.json`: a report as Markdown tables.

It takes the reports of `benchmarks.quality`, `benchmarks.sweep` and `scenes.judge`. With `--into FILE --part NAME` the
tables take the place of what stands between `<!-- NAME -->` and `<!-- /NAME -->` there: nothing is typed by hand.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.quality.changes import KINDS

FIGURES = {
    "success": "Success, of generated sources",
    "preservation_psnr": "Preservation outside what may change, in dB, of generated sources",
    "counterfactual_psnr": "Nearness to the true edited picture, in dB, of drawn sources",
}


def of_quality(report: Mapping) -> str:
    """The judge's and the model's figures, and a table for each figure of the methods, over all and by kind."""
    parts = [
        "The judge, on held-out renders:\n\n" + markdown([report["judge"]]),
        "The model, by the judge:\n\n" + markdown([report["model"]]),
    ]
    for figure, title in FIGURES.items():
        rows = [
            {"method": name, "all": of[figure], **{kind: of["by_kind"][kind][figure] for kind in KINDS}}
            for name, of in report["methods"].items()
        ]
        columns = [key for key in rows[0] if any(row[key] is not None for row in rows)]
        parts.append(f"{title}:\n\n" + markdown([{key: row[key] for key in columns} for row in rows]))
    return "\n".join(parts)


def of_judge(report: Mapping) -> str:
    """A row for each way of examining it."""
    return markdown([{"examined on": name.replace("_", " "), **figures} for name, figures in report.items()])


def of_sweep(report: Mapping) -> str:
    """A row for each value of each setting."""
    return markdown([{"setting": name, **point} for name, points in report.items() for point in points])


#: Which tables a report has, by a key of it.
TABLES: Mapping[str, Callable[[Mapping], str]] = {"methods": of_quality, "renders": of_judge}


def tables(report: Mapping) -> str:
    """A report's tables; one of no other kind is a sweep's."""
    return next((made for key, made in TABLES.items() if key in report), of_sweep)(report)


def markdown(rows: Iterable[Mapping]) -> str:
    """Rows of the same keys as a Markdown table."""
    rows = list(rows)
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([shown(value) for value in row.values()] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(value: object) -> str:
    return "" if value is None else str(value)


def replaced(document: str, part: str, text: str) -> str:
    """A document with a part's tables renewed.

    Raises:
        ValueError: it has no such part.
    """
    opening, closing = f"<!-- {part} -->", f"<!-- /{part} -->"
    pattern = re.compile(f"{opening}.*?{closing}", re.DOTALL)
    if not pattern.search(document):
        raise ValueError(f"the document has no {opening} ... {closing}: add both where the tables belong")
    return pattern.sub(lambda _: f"{opening}\n{text}{closing}", document)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, help="a document that holds the part")
    parser.add_argument("--part", default="full")
    arguments = parser.parse_args()
    text = tables(json.load(sys.stdin))
    if arguments.into:
        arguments.into.write_text(replaced(arguments.into.read_text("utf-8"), arguments.part, text), "utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
