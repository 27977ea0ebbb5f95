"""`python -m scenes.pixels.evaluate`: paints scenes of one thing and asks the judge; prints one JSON object.

The model is good enough to be shipped where the judge sees the thing and the place often enough (`BARS`). `--ship` then
puts it into the repository (`scenes.pixels.ship`).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import IFPipeline
from PIL import Image

from scenes.grid import PROMPTS
from scenes.pixels.export import MODEL
from scenes.pixels.ship import ship
from scenes.tokens.evaluate import BARS, COUNT, judged, one_thing_scenes

STEPS, GUIDANCE_SCALES = 20, (2.0, 3.0, 4.0)
#: Pictures painted at a time.
CHUNK = 25


def paint(
    pipeline: IFPipeline, captions: Sequence[str], guidance_scale: float, steps: int, seed: int = 0
) -> np.ndarray:
    """uint8 pictures (n, SIZE, SIZE, 3) of captions."""
    painted = []
    for start in range(0, len(captions), CHUNK):
        images = pipeline(
            list(captions[start : start + CHUNK]),
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            generator=torch.Generator(pipeline.device).manual_seed(seed + start),
            output_type="np",
            clean_caption=False,  # which needs packages that this project does without
        ).images
        painted.append((images * 255).round().astype(np.uint8))
    return np.concatenate(painted)


def sheet(pipeline: IFPipeline, guidance_scales: Sequence[float], steps: int) -> Image.Image:
    """`PROMPTS` of the built-in model's grid side by side, a row for each guidance scale; seed 0, none chosen."""
    rows = [np.concatenate(list(paint(pipeline, PROMPTS, scale, steps)), 1) for scale in guidance_scales]
    small = Image.fromarray(np.concatenate(rows))
    return small.resize((small.width * 2, small.height * 2), Image.Resampling.LANCZOS)


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
        sheet(pipeline, arguments.guidance, arguments.steps).save(arguments.sheet, optimize=True)
    if not arguments.count:
        return
    scenes = one_thing_scenes(arguments.count, held_out=arguments.held_out)
    captions = [scene.caption() for scene in scenes]
    by_scale = {
        str(scale): judged(scenes, paint(pipeline, captions, scale, arguments.steps)) for scale in arguments.guidance
    }
    best = max(by_scale, key=lambda scale: min((by_scale[scale][name] or 0) / bar for name, bar in BARS.items()))
    passes = all((by_scale[best][name] or 0) >= bar for name, bar in BARS.items())
    report = {
        "model": str(arguments.model),
        **json.loads((arguments.model / "training.json").read_text()),
        "scenes": len(scenes),
        "held_out": arguments.held_out,
        "steps": arguments.steps,
        "by_guidance_scale": by_scale,
        "best_guidance_scale": float(best),
        "bars": BARS,
        "passes": passes,
    }
    print(json.dumps(report))
    if arguments.ship and passes:
        ship(arguments.model, arguments.steps, float(best))


if __name__ == "__main__":
    main()
