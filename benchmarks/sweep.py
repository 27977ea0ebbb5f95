"""`python -m benchmarks.sweep`: what each default of an edit is worth, one at a time, all others left as they are.

The edits are those of `benchmarks.quality`, or a share of them. `--seed` takes others, so that what is chosen on them
can be measured on those. Windows are varied without local blend, over all kinds; the blend's own settings over local
changes, with it. `mass` is varied where it is named, of models whose words and pixels share one softmax. `--plot`
draws the curves, `--quick` takes a few edits and values.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.figures.sheet import beside, curves, stacked
from benchmarks.quality import sources as asked
from benchmarks.quality.methods import ours
from benchmarks.quality.opened import DEFAULT, MODELS_FILE, Opened, opened
from benchmarks.quality.painting import QUICK_STEPS
from benchmarks.quality.report import rows, summary
from jobs.catalogue import ModelDefaults
from p2p.spec import LocalBlend, Target
from scenes.judge.network import Judge
from scenes.judge.verdict import load as load_judge

SHARE, QUICK = 0.4, 0.04
FIGURES = ("success", "preservation_psnr", "counterfactual_psnr")

#: Field of a target, a setting of it or none, the values it is given, its default.
SWEPT: Mapping[str, tuple[str, str | None, tuple[Any, ...], Any]] = {
    "cross_window.stop": (
        "cross_window",
        "stop",
        (0, 0.2, 0.4, 0.6, 0.8, 1),
        Target.model_fields["cross_window"].default.stop,
    ),
    "self_window.stop": (
        "self_window",
        "stop",
        (0, 0.2, 0.4, 0.6, 0.8, 1),
        Target.model_fields["self_window"].default.stop,
    ),
    "local_blend.start": (
        "local_blend",
        "start",
        (0, 0.1, 0.2, 0.3, 0.5, 0.7),
        LocalBlend.model_fields["start"].default,
    ),
    "local_blend.threshold": (
        "local_blend",
        "threshold",
        (0.02, 0.05, 0.1, 0.2, 0.3, 0.5),
        LocalBlend.model_fields["threshold"].default,
    ),
    "mass": ("mass", None, ("linear", "mass_matched"), Target.model_fields["mass"].default),
}
#: Those that are drawn as curves, of every model.
CURVES = tuple(name for name, (_, setting, *_) in SWEPT.items() if setting is not None)


def default_of(name: str, defaults: ModelDefaults) -> float:
    """The value of a curve's setting that a request gets: the model's own, or the spec's."""
    field, setting, _, usual = SWEPT[name]
    own = getattr(defaults, field, None)
    return float(usual if own is None else getattr(own, str(setting)))


def swept(
    name: str, values: Sequence[float], sources: Sequence[asked.Source], model: Opened, judge: Judge, steps: int
) -> list[dict]:
    """The figures at each value of a setting; the other settings are the model's defaults."""
    field, setting, _, _ = SWEPT[name]
    blend = field == "local_blend"
    if blend:
        sources = [local for source in sources if (local := _local(source)).changes]
    found = []
    for value in values:
        said: dict[str, Any] = {field: value if setting is None else {setting: value}}
        images = ours(sources, model.family, steps, blended=blend, defaults=model.defaults, **said)
        figures = summary(rows(sources, images, judge))
        found.append({"value": value, **{name: figures[name] for name in FIGURES}})
        print(name, found[-1], file=sys.stderr)
    return found


def _local(source: asked.Source) -> asked.Source:
    """A source with those of its changes that a local blend acts on; faders aside, which would hide what it does."""
    return replace(source, changes=tuple(c for c in source.changes if c.local and c.kind != "reweight"))


def plot(report: Mapping[str, Sequence[dict]], defaults: ModelDefaults) -> Image.Image:
    """A row for each setting: success, preservation, nearness to the truth."""
    return stacked(
        [
            beside(
                [
                    curves(
                        f"{figure}, {name} (default {default_of(name, defaults):g})",
                        [point["value"] for point in points],
                        {"": [point[figure] for point in points]},
                        size=(360, 190),
                    )
                    for figure in FIGURES
                ]
            )
            for name, points in report.items()
            if name in CURVES
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT, help="of the models file: its id or its folder")
    parser.add_argument("--models-file", type=Path, default=MODELS_FILE, help="that declares the model")
    parser.add_argument("--quick", action="store_true", help="a few edits in few steps, two values of each setting")
    parser.add_argument("--share", type=float, default=SHARE, help="of the edits of benchmarks.quality")
    parser.add_argument("--seed", type=int, default=asked.SEED, help="another set of sources than the documented one")
    parser.add_argument("--settings", nargs="*", default=list(CURVES), choices=list(SWEPT))
    parser.add_argument("--plot", type=Path, help="write the curves there")
    arguments = parser.parse_args()
    share = QUICK if arguments.quick else arguments.share
    model, judge = opened(arguments.model, models_file=arguments.models_file), load_judge()
    family, steps = model.family, QUICK_STEPS if arguments.quick else model.defaults.steps
    how: dict[str, Any] = {
        "seed": arguments.seed,
        "steps": steps,
        "guidance_scale": model.defaults.guidance_scale,
    }
    sources = [
        *asked.generated(asked.wanted(asked.GENERATED, share), family, judge, **how),
        *asked.drawn(asked.wanted(asked.DRAWN, share), family, judge, **how),
    ]
    report = {}
    for name in arguments.settings:
        values = SWEPT[name][2]
        chosen = values[:: len(values) - 1] if arguments.quick else values
        report[name] = swept(name, chosen, sources, model, judge, steps)
    if arguments.plot:
        arguments.plot.parent.mkdir(parents=True, exist_ok=True)
        plot(report, model.defaults).quantize(64).save(arguments.plot, optimize=True)
    print(json.dumps(report))


if __name__ == "__main__":
    with torch.no_grad():
        main()
