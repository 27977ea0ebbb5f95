"""`python -m scenes.pixels.evaluate`: paints scenes of one thing and asks the judge; prints one JSON object.

The model is good enough to be shipped where the judge sees the thing and the place often enough
(`scenes.judge.one_thing.BARS`). `--ship` then puts it into the repository (`scenes.shipping`).
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import IFPipeline

from scenes.judge.one_thing import BARS, COUNT, best_of, judged, one_thing_scenes, passes
from scenes.painted import painted, sheet
from scenes.pixels.export import MODEL
from scenes.shipping import ship

STEPS, GUIDANCE_SCALES = 20, (2.0, 3.0, 4.0)
#: Pictures painted at a time.
CHUNK = 25
#: The row as it is written; the guidance scale is the one that the judge liked best.
ROW = """
[[models]]
id = "scenes-if"
description = "The same world, drawn in pixels by the design of the paper: words and pixels in one softmax. 64x64."
path = "scenes/pixels/model"
family = "deepfloyd_if"
tokenizer = "scenes/pixels/model/tokenizer/tokenizer.json"
vocabulary = "scenes/model/vocabulary.txt"
max_tokens = 77
sizes = [[64, 64]]
# What the judge sees of its pictures: `python -m scenes.pixels.evaluate --guidance {guidance}`.
defaults = {{ steps = {steps}, guidance_scale = {guidance}, keep = "things" }}
limits = {{ max_steps = 100, max_targets = 8 }}
"""


def paint(
    pipeline: IFPipeline, captions: Sequence[str], guidance_scale: float, steps: int, seed: int = 0
) -> np.ndarray:
    """uint8 pictures (n, SIZE, SIZE, 3) of captions."""
    # Cleaning captions needs packages that this project does without.
    given = {"num_inference_steps": steps, "guidance_scale": guidance_scale, "clean_caption": False}
    return painted(pipeline, captions, chunk=CHUNK, seed=seed, **given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--count", type=int, default=COUNT, help="scenes; 0 only paints the sheet")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--guidance", type=float, nargs="+", default=GUIDANCE_SCALES, help="scales to paint with")
    parser.add_argument("--held-out", action="store_true", help="combinations that training never sees")
    parser.add_argument("--sheet", type=Path, help="where a sheet of samples is written")
    parser.add_argument("--ship", action="store_true", help="if it passes, put it into the repository and models.toml")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    pipeline = IFPipeline.from_pretrained(
        arguments.model, dtype=torch.float32, safety_checker=None, requires_safety_checker=False, watermarker=None
    ).to(arguments.device)
    pipeline.set_progress_bar_config(disable=True)
    if arguments.sheet:
        sheet(partial(paint, pipeline, steps=arguments.steps), arguments.guidance).save(arguments.sheet, optimize=True)
    if not arguments.count:
        return
    scenes = one_thing_scenes(arguments.count, held_out=arguments.held_out)
    captions = [scene.caption() for scene in scenes]
    by_scale = {
        str(scale): judged(scenes, paint(pipeline, captions, scale, arguments.steps)) for scale in arguments.guidance
    }
    best = best_of(by_scale)
    good = passes(by_scale[best])
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
    if arguments.ship and good:
        row = ROW.format(steps=arguments.steps, guidance=float(best))
        ship(arguments.model, MODEL, "scenes-if", row)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
