"""`python -m tools.metrics_table`: every metric as the table of docs/operations.md, from the registries.

With --write it is put into that file, between its two markers.
"""

from pathlib import Path

from process.metrics import DECLARED
from tools.markdown import print_or_put, table

DOCUMENT = Path(__file__).parents[1] / "docs" / "operations.md"
PART = "metrics"


def metrics_table() -> str:
    """A row per metric: its name, its type, its labels, who measures it, what it is."""
    return table(
        ("metric", "type", "labels", "measured by", ""),
        [
            (
                f"`{metric.name}`",
                metric.kind,
                ", ".join(f"`{label}`" for label in metric.labels),
                ", ".join(metric.measured_by),
                metric.meaning,
            )
            for metric in DECLARED
        ],
    )


if __name__ == "__main__":
    print_or_put(__doc__.splitlines()[0], DOCUMENT, PART, metrics_table())
