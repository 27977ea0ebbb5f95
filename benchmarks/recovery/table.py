"""The report of `benchmarks.recovery` as two Markdown tables."""

from collections.abc import Iterator, Mapping, Sequence

from tools.markdown import table

COUNTS = ("accepted", "lost", "published_twice", "outbox_twice")


def of_recovery(report: Mapping) -> str:
    """Windows beside stock RQ, then faults; of a single window its row alone."""
    ours, stock = report["ours"], report["baseline"].get("by_window", {})
    windows = [
        [name, each["kills"], *(each[key] for key in COUNTS), each["recovery_p50_s"], each["recovery_p99_s"], became]
        for name, each in ours["by_window"].items()
        for became in ["; ".join(_outcomes(stock[name])) if name in stock else "not tried"]
    ]
    total = ["all", ours["kills"], *(ours[key] for key in COUNTS), ours["recovery_p50_s"], ours["recovery_p99_s"], ""]
    faults = [[name, each["times"], *(each[key] for key in COUNTS)] for name, each in ours["faults"].items()]
    head = ["window", "kills", *COUNTS, "recovery_p50_s", "recovery_p99_s", "stock RQ"]
    if not faults:
        return table(head[:-1], [row[:-1] for row in windows])
    return table(head, [*windows, total]) + "\n" + table(["fault", "times", *COUNTS], faults)


def _outcomes(kills: Sequence[Mapping]) -> Iterator[str]:
    """What became of each kill on stock RQ, in a few words; alike ones together."""
    told = [_outcome(kill) for kill in kills]
    for outcome in dict.fromkeys(told):
        yield f"{told.count(outcome)} x {outcome}"


def _outcome(kill: Mapping) -> str:
    if not kill["killed"]:
        return "never reached"
    if kill["recovered_s"] is not None:
        return f"recovered after {kill['recovered_s']:.0f} s"
    if not kill.get("became"):
        return "not recovered"
    status, seconds = kill["became"][-1]
    return f"not recovered: {status}" + (f" after {seconds:.0f} s" if len(kill["became"]) > 1 else "")
