"""The reports of `benchmarks.quality`, `benchmarks.sweep` and `scenes.judge` as Markdown tables."""

from collections.abc import Iterable, Mapping

from benchmarks.quality.changes import KINDS
from tools.markdown import table

FIGURES = {
    "success": "Success, of generated sources",
    "preservation_psnr": "Preservation outside what may change, in dB, of generated sources",
    "counterfactual_psnr": "Nearness to the true edited picture, in dB, of drawn sources",
}


def of_quality(report: Mapping) -> str:
    """The judge's and the model's figures, and a table for each figure of the methods, over all and by kind."""
    titles = {"judge": "The judge, on held-out renders", "model": "The model, by the judge"}
    parts = [f"{title}:\n\n" + _of([report[part]]) for part, title in titles.items() if part in report]
    if "seam" in report:
        title = "Extra step at the border of a photo's edited part, in grey levels, of `automatic`"
        parts.append(f"{title}:\n\n" + _of([report["seam"]]))
    for figure, title in FIGURES.items():
        rows = [
            {"method": name, "all": of[figure], **{kind: of["by_kind"][kind][figure] for kind in KINDS}}
            for name, of in report["methods"].items()
        ]
        columns = [key for key in rows[0] if any(row[key] is not None for row in rows)]
        if columns == ["method"]:
            continue  # of a run without such sources
        parts.append(f"{title}:\n\n" + _of([{key: row[key] for key in columns} for row in rows]))
    return "\n".join(parts)


def of_inversion(report: Mapping) -> str:
    """A row for each way of inverting at each guidance, and one for the picture as it was."""
    rows = [{"method": "unchanged", "guidance": None, **report["unchanged"]}]
    for guidance, of in (("default", report), ("7.5", report["at_7_5"])):
        rows += [{"method": name, "guidance": guidance, **figures} for name, figures in of["methods"].items()]
    return table(list(rows[1]), [[row.get(column) for column in rows[1]] for row in rows])


def of_judge(report: Mapping) -> str:
    """A row for each way of examining it."""
    return _of([{"examined on": name.replace("_", " "), **figures} for name, figures in report.items()])


def of_sweep(report: Mapping) -> str:
    """A row for each value of each setting."""
    return _of([{"setting": name, **point} for name, points in report.items() for point in points])


def _of(rows: Iterable[Mapping]) -> str:
    rows = list(rows)
    return table(list(rows[0]), [list(row.values()) for row in rows])
