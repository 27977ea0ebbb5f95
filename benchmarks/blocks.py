"""`python -m benchmarks.blocks`: in which blocks of joint attention a thing's word finds its thing.

Pictures are those that `benchmarks.quality` generates and the judge accepts. The map of each thing's word, read in one
block alone, is cut at the published share of its maximum, and compared with the judge's mask of the thing: intersection
over union. It prints one JSON object: `blocks`, one figure for each; `all`, read in all of them together; and `chosen`,
read where the family reads them.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.quality import sources as asked
from benchmarks.quality.opened import MODELS_FILE, opened
from p2p.attention.sites import Keys
from p2p.edit import edit
from p2p.families.base import ModelFamily
from p2p.families.flow import FlowFamily
from p2p.spec import EditSpec
from scenes.judge.verdict import load as load_judge
from scenes.render import SIZE

#: The share of a map's maximum at which published code cuts it (Hertz et al. 2022, `LocalBlend`).
CUT = 0.3
#: Of the sources of `benchmarks.quality`.
SHARE, QUICK, QUICK_STEPS = 1.0, 0.05, 4


def found(family: ModelFamily, sources: Sequence[asked.Source], steps: int) -> float:
    """The mean over all things."""
    return round(float(np.mean([each for source in sources for each in _of_things(family, source, steps)])), 4)


def _of_things(family: ModelFamily, source: asked.Source, steps: int) -> Iterator[float]:
    spec = EditSpec.model_validate(
        {
            "source": {"prompt": source.scene.caption()},
            "targets": [{"prompt": source.scene.caption(), "edits": []}],
            "sampling": {"steps": steps, "guidance_scale": source.guidance_scale, "seed": source.seed},
            "artifacts": {"heatmaps": False, "raw_maps": True},
        }
    )
    maps = {each.word: each.map for each in edit(spec, family, noise=source.noise).maps[0]}
    for name, mask in source.masks.items():
        map_ = np.asarray(Image.fromarray(maps[name]).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        region = map_ > CUT * map_.max()
        yield float((region & mask).sum() / (region | mask).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="scenes-flow", help="of the models file: its id or its folder")
    parser.add_argument("--models-file", type=Path, default=MODELS_FILE, help="that declares the model")
    parser.add_argument("--share", type=float, default=SHARE, help="of the sources of benchmarks.quality")
    parser.add_argument("--seed", type=int, default=asked.SEED, help="another set of sources than the documented one")
    parser.add_argument("--quick", action="store_true", help="a few pictures in few steps; under a minute")
    arguments = parser.parse_args()
    model = opened(arguments.model, models_file=arguments.models_file)
    family = model.family
    if not isinstance(family, FlowFamily):
        parser.error(f"{arguments.model} has no joint attention: name a model that follows a flow")
    steps = QUICK_STEPS if arguments.quick else model.defaults.steps
    wanted = asked.wanted(asked.GENERATED, QUICK if arguments.quick else arguments.share)
    how = {"seed": arguments.seed, "steps": steps, "guidance_scale": model.defaults.guidance_scale}
    sources = asked.generated(wanted, family, load_judge(), **how)
    joint = [site for site in family.attention_sites() if site.keys is Keys.JOINT]
    blocks = sorted({site.block for site in joint})
    asked_for = {"all": set(blocks), "chosen": {site.block for site in joint if site.is_read}}
    report = {}
    for name, read in [*asked_for.items(), *((str(block), {block}) for block in blocks)]:
        with family.read_in(read):
            report[name] = found(family, sources, steps)
    print(json.dumps({name: report.pop(name) for name in asked_for} | {"blocks": report}))


if __name__ == "__main__":
    with torch.no_grad():
        main()
