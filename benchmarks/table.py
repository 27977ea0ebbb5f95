"""`python -m benchmarks.table < report.json`: any benchmark's report as Markdown tables, as the docs hold them.

With `--into FILE --part NAME` they take the place of what stands between that part's markers there, so that nothing is
typed by hand.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.fleet.table import of_fleet
from benchmarks.quality.table import of_inversion, of_judge, of_quality, of_sweep
from benchmarks.recovery.table import of_recovery
from tools.markdown import put, table


def of_rows(report: Mapping) -> str:
    """A line per row of a report, in its own words and figures."""
    rows = report["rows"]
    return table(list(rows[0]), [list(row.values()) for row in rows])


def of_figures(report: Mapping) -> str:
    """A line per figure."""
    return table(["figure", "value"], report.items())


def of_footprint(report: Mapping) -> str:
    """A line per process, then one per figure."""
    memory = {f"memory of {name}, MiB": mib for name, mib in report["mib"].items()}
    return of_figures(memory | {name: value for name, value in report.items() if name != "mib"})


def of_blocks(report: Mapping) -> str:
    """Where word maps were read, and how well they found their things."""
    rest = {name: figure for name, figure in report.items() if name != "blocks"}
    return table(["read in", "iou"], [*rest.items(), *((f"block {name}", of) for name, of in report["blocks"].items())])


def of_generated(report: Mapping) -> str:
    """What the edits of the inversions' benchmark come to where nothing is inverted."""
    figures = {"source": "generated", **report["generated"]}
    return table(list(figures), [list(figures.values())])


#: Which tables a report has, by a key of it.
TABLES: Mapping[str, Callable[[Mapping], str]] = {
    "rows": of_rows,
    "status_to_bare": of_figures,
    "lost_events": of_figures,
    "mib": of_footprint,
    "ours": of_recovery,
    "limit_workers_at_2s_jobs": of_fleet,
    "at_7_5": of_inversion,
    "generated": of_generated,
    "methods": of_quality,
    "renders": of_judge,
    "blocks": of_blocks,
}


def tables(report: Mapping) -> str:
    """A report's tables; one of no other kind is a sweep's."""
    return next((made for key, made in TABLES.items() if key in report), of_sweep)(report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, help="a document that holds the part")
    parser.add_argument("--part", default="full")
    arguments = parser.parse_args()
    text = tables(json.load(sys.stdin))
    if arguments.into:
        put(arguments.into, arguments.part, text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
