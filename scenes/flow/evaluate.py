"""`python -m scenes.flow.evaluate`: paints scenes of one thing and asks the judge; prints one JSON object.

With `--ship` it takes a model that is good enough (`scenes.judge.one_thing.BARS`) into this package, and its table into
`models.toml`.
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusion3Pipeline

from scenes.flow.export import MODEL
from scenes.judge.one_thing import BARS, COUNT, best_of, judged, one_thing_scenes, passes
from scenes.painted import painted, sheet
from scenes.shipping import ship
from scenes.tokenizer import MAX_LENGTH

STEPS, GUIDANCE_SCALES = 20, (2.0, 3.0, 4.5)
#: Pictures painted at a time.
CHUNK = 25
#: The models file with the table of this model alone; `benchmarks.quality` opens what is not shipped by it.
TABLE = Path(__file__).parent / "models.toml"


def paint(
    pipeline: StableDiffusion3Pipeline, captions: Sequence[str], guidance_scale: float, steps: int, seed: int = 0
) -> np.ndarray:
    """uint8 pictures (n, SIZE, SIZE, 3) of captions."""
    given = {"num_inference_steps": steps, "guidance_scale": guidance_scale, "max_sequence_length": MAX_LENGTH}
    return painted(pipeline, captions, chunk=CHUNK, seed=seed, **given)


def row() -> str:
    """The model's table, as the repository's models file has it: paths are relative to the file that declares it."""
    table = TABLE.read_text(encoding="utf-8")
    table = table[table.index("[[models]]") :].replace('path = "model"', 'path = "scenes/flow/model"')
    return table.replace('vocabulary = "../model', 'vocabulary = "scenes/model')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--count", type=int, default=COUNT, help="scenes")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--guidance", type=float, nargs="+", default=GUIDANCE_SCALES, help="scales to paint with")
    parser.add_argument("--held-out", action="store_true", help="combinations that training never sees")
    parser.add_argument("--sheet", type=Path, help="where a sheet of samples is written")
    parser.add_argument("--ship", action="store_true", help="take the model into the package if it is good enough")
    arguments = parser.parse_args()
    pipeline = StableDiffusion3Pipeline.from_pretrained(arguments.model, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    scenes = one_thing_scenes(arguments.count, held_out=arguments.held_out)
    captions = [scene.caption() for scene in scenes]
    by_scale = {
        str(scale): judged(scenes, paint(pipeline, captions, scale, arguments.steps)) for scale in arguments.guidance
    }
    best = best_of(by_scale)
    if arguments.sheet:
        sheet(partial(paint, pipeline, steps=arguments.steps), arguments.guidance).save(arguments.sheet, optimize=True)
    good = passes(by_scale[best])
    if arguments.ship and good:
        ship(arguments.model, MODEL, "scenes-flow", row())
    report = {
        "model": str(arguments.model),
        **json.loads((arguments.model / "training.json").read_text()),
        "scenes": len(scenes),
        "held_out": arguments.held_out,
        "steps": arguments.steps,
        "by_guidance_scale": by_scale,
        "best_guidance_scale": float(best),
        "bars": BARS,
        "passes": good,
        "shipped": arguments.ship and good,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
