"""`python -m benchmarks.inversion`: 40 drawn scenes inverted by every method, three edits each, as one JSON object.

The drawing program knows the true edited picture, so beside how well a picture is reconstructed stands how near its
edits come to the truth. `--generated` makes the same edits of as many generated pictures instead: what they succeed in
where nothing had to be inverted. Progress goes to standard error.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.quality import sources as asked
from benchmarks.quality.changes import as_target, drawn_pair
from benchmarks.quality.metrics import may_change, psnr, ssim, succeeds
from benchmarks.quality.painting import GUIDANCE_SCALE, QUICK_STEPS, STEPS, decoded
from benchmarks.quality.photos import run
from benchmarks.quality.sources import Source
from p2p.families import load as load_family
from p2p.families.base import ModelFamily
from p2p.inversion import INVERSIONS, InversionResult, invert
from p2p.inversion.fidelity import fidelity
from p2p.spec import EditSpec, Sampling
from scenes.judge.network import Judge
from scenes.judge.verdict import load as load_judge
from scenes.judge.verdict import verdicts
from scenes.world import Scene

MODEL = Path("scenes/model")
SCENES, QUICK = 40, 1
#: The guidance scale of the papers, beside the model's own.
STRONG = 7.5
#: Of the figures, how many digits tell something; the others have two.
DIGITS = {"reconstruction_ssim": 4, "success": 3, "seconds": 3, "unet_evaluations": 1}
Figures = dict[str, float | None]


def tinted(rng: np.random.Generator) -> Scene:
    """A tinted thing without a style: it can be swapped, a style added, its tint turned up or down."""
    return next(scene for scene in iter(lambda: asked.with_fader(rng), None) if scene.style is None)


FAMILY = asked.Family(tinted, ("thing", "style", "reweight"))


def three_each(sources: Iterable[Source]) -> list[Source]:
    """A swap, a style, and the fader up or down by turns."""
    return [replace(s, changes=(*s.changes[:2], s.changes[2 + number % 2])) for number, s in enumerate(sources)]


def inverted(
    source: Source, method: str, family: ModelFamily, guidance_scale: float, steps: int = STEPS
) -> InversionResult:
    """A drawn source's inversion."""
    sampling = Sampling(steps=steps, guidance_scale=guidance_scale, seed=source.seed)
    return invert(Image.fromarray(source.image), source.scene.caption(), family, method=method, sampling=sampling)


def edited(source: Source, family: ModelFamily, guidance_scale: float, steps: int = STEPS) -> list[np.ndarray]:
    """A source's edits, by the defaults and without a blend, which would keep the background whatever the method."""
    spec = EditSpec.model_validate(
        {
            "source": {"prompt": source.scene.caption()},
            "targets": [as_target(change, blended=False) for change in source.changes],
            "sampling": {"steps": steps, "guidance_scale": guidance_scale, "seed": source.seed},
            "artifacts": {"heatmaps": False, "raw_maps": False},
        }
    )
    return [np.asarray(image) for image in run(spec, source, family).images[1:]]


def of_edits(source: Source, images: Sequence[np.ndarray], judge: Judge) -> list[Figures]:
    """Of a drawn source's edits: what was asked, the truth, and what stays; what does not apply is left out."""
    figures = []
    for change, image, seen in zip(source.changes, images, verdicts(judge, images), strict=True):
        of: Figures = {"success": succeeds(change, source.verdict, seen)}
        assert source.layout  # it is drawn
        before, truth = drawn_pair(change, source.layout)
        if change.has_truth:
            of["counterfactual_psnr"] = psnr(image, truth.image)
        if change.local:
            after = {thing.name: mask for thing, mask in zip(change.after.things, truth.masks, strict=True)}
            of["background_psnr"] = psnr(image, before.image, ~may_change(change, source.masks, after))
        figures.append(of)
    return figures


def means(rows: Iterable[Figures]) -> Figures:
    """Each figure's mean over the rows that have it."""
    values: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:  # an infinite PSNR
                values.setdefault(name, []).append(value)
    return {name: round(float(np.mean(each)), DIGITS.get(name, 2)) for name, each in values.items()}


def unchanged(sources: Sequence[Source], family: ModelFamily, judge: Judge) -> Figures:
    """What there is before any edit: the picture through the autoencoder, taken for each edit."""
    rows: list[Figures] = []
    for source in sources:
        (image,) = decoded(family, source.latents)
        everywhere = np.ones(image.shape[:2], bool)
        rows.append(
            {
                "reconstruction_psnr": psnr(image, source.image),
                "reconstruction_ssim": ssim(image, source.image, everywhere),
            }
        )
        rows += of_edits(source, [image] * len(source.changes), judge)
    return means(rows)


def by_method(
    sources: Sequence[Source], family: ModelFamily, judge: Judge, guidance_scale: float, steps: int
) -> Mapping[str, Figures]:
    """Every method's means over the sources, and over their edits."""
    figures = {}
    for name in INVERSIONS:
        rows: list[Figures] = []
        for source in sources:
            found = inverted(source, name, family, guidance_scale, steps)
            reached = fidelity(Image.fromarray(source.image), found, family)
            rows.append({"reconstruction_psnr": reached.psnr, "reconstruction_ssim": reached.ssim})
            images = edited(replace(source, trajectory=found.trajectory), family, guidance_scale, steps)
            rows += of_edits(source, images, judge)
            rows.append({"seconds": found.seconds["invert"], "unet_evaluations": found.unet_evaluations})
        figures[name] = means(rows)
        print(f"{name} at {guidance_scale:g}: {figures[name]}", file=sys.stderr)
    return figures


def of_generated(count: int, family: ModelFamily, judge: Judge, steps: int) -> Figures:
    """How often the same edits succeed on generated pictures."""
    sources = three_each(asked.generated([(count, FAMILY)], family, judge, steps=steps))
    rows: list[Figures] = []
    for source in sources:
        seen = verdicts(judge, edited(source, family, GUIDANCE_SCALE, steps))
        rows += [{"success": succeeds(c, source.verdict, v)} for c, v in zip(source.changes, seen, strict=True)]
    return means(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--quick", action="store_true", help="one scene, in few steps; under a minute")
    parser.add_argument("--generated", action="store_true", help="only the same edits of generated pictures")
    arguments = parser.parse_args()
    family, judge = load_family("stable_diffusion", str(arguments.model)), load_judge()
    count, steps = (QUICK, QUICK_STEPS) if arguments.quick else (SCENES, STEPS)
    if arguments.generated:
        print(json.dumps({"generated": of_generated(count, family, judge, steps)}))
        return
    sources = three_each(asked.drawn([(count, FAMILY)], family, judge, steps=steps))
    nothing_done = unchanged(sources, family, judge)
    report = {
        "autoencoder": {"psnr": nothing_done["reconstruction_psnr"]},
        "unchanged": nothing_done,
        "methods": by_method(sources, family, judge, GUIDANCE_SCALE, steps),
        "at_7_5": {"methods": by_method(sources, family, judge, STRONG, steps)},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
