"""`python -m benchmarks.quality`: the judge, the model, and 300 edits by every method, as one JSON object.

Nothing is drawn anew between runs: seeds are fixed. Progress goes to standard error. With `--kind` only edits of that
kind are made, the same ones as among all, and neither the judge nor the model is examined.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks.quality import sources as asked
from benchmarks.quality.changes import KINDS
from benchmarks.quality.examined import EXAMINED
from benchmarks.quality.methods import BY_NAME, METHODS, methods_of
from benchmarks.quality.model import figures
from benchmarks.quality.opened import DEFAULT, MODELS_FILE, opened
from benchmarks.quality.painting import QUICK_STEPS
from benchmarks.quality.photos import seams
from benchmarks.quality.report import Row, rows, summary
from p2p.spec import InversionMethod
from scenes.judge.verdict import load as load_judge

JUDGED, ONE_THING, TWO_THINGS = 1000, 500, 300
#: The share of all of this in a quick run: one source of each family.
QUICK = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT, help="of the models file: its id or its folder")
    parser.add_argument("--models-file", type=Path, default=MODELS_FILE, help="that declares the model")
    parser.add_argument("--quick", action="store_true", help="a few edits of each kind, in few steps; under a minute")
    parser.add_argument("--share", type=float, help="of the whole, between 0 and 1; 1 without --quick")
    parser.add_argument("--seed", type=int, default=asked.SEED, help="another set of sources than the documented one")
    named = [*METHODS, *BY_NAME]
    parser.add_argument("--method", action="append", choices=named, help="only this one, or several of them")
    parser.add_argument(
        "--inversion", choices=get_args(InversionMethod), help="of drawn pictures; the state's own without"
    )
    parser.add_argument("--kind", action="append", choices=KINDS, help="only edits of this one; no examinations")
    parser.add_argument("--sources", choices=("generated", "drawn"), help="only edits of such pictures")
    parser.add_argument("--rows", type=Path, help="write every edit of every method there, JSON lines, SSIM included")
    arguments = parser.parse_args()
    share = arguments.share or (QUICK if arguments.quick else 1.0)
    model, judge = opened(arguments.model, models_file=arguments.models_file), load_judge()
    family, guided = model.family, model.defaults.guidance_scale
    steps = QUICK_STEPS if arguments.quick else model.defaults.steps
    told, report, kinds = Clock(), dict[str, Any](), arguments.kind or tuple(KINDS)
    if not arguments.kind:
        report["judge"] = EXAMINED[family.state](family, judge, round(JUDGED * share))
        told("judge")
        report["model"] = figures(family, judge, round(ONE_THING * share), round(TWO_THINGS * share), steps, guided)
        told("model")
    how: dict[str, Any] = {"seed": arguments.seed, "steps": steps, "guidance_scale": guided}
    sources = list[asked.Source]()
    if arguments.sources != "drawn":
        sources += asked.generated(asked.wanted(asked.GENERATED, share, kinds), family, judge, **how)
        told(f"{len(sources)} generated sources")
    if arguments.sources != "generated":
        drawn = asked.wanted(asked.DRAWN, share, kinds)
        sources += asked.drawn(drawn, family, judge, **how, inversion=arguments.inversion)
        told("drawn sources")
    sources = asked.of_kinds(sources, kinds)
    counted, methods = dict[str, list[Row]](), methods_of(model.defaults)
    for name in arguments.method or METHODS:
        counted[name] = rows(sources, methods[name](sources, family, steps), judge)
        told(name)
    if "automatic" in counted:
        report["seam"] = seams(sources, family, steps)
        told("seam")
    report["methods"] = {name: summary(of) for name, of in counted.items()}
    if arguments.rows:
        lines = [json.dumps({"method": name, **asdict(row)}) for name, of in counted.items() for row in of]
        arguments.rows.write_text("".join(line + "\n" for line in lines))
    print(json.dumps(report))


class Clock:
    """Tells on standard error what is done and how long it took."""

    def __init__(self) -> None:
        self.last = time.perf_counter()

    def __call__(self, part: str) -> None:
        now = time.perf_counter()
        print(f"{part}: {now - self.last:.1f} s", file=sys.stderr)
        self.last = now


if __name__ == "__main__":
    with torch.no_grad():
        main()
