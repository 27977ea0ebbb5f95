"""`python -m scenes.tokens.evaluate`: paints scenes of one thing and asks the judge; prints one JSON object.

The model is good enough to be shipped where the judge sees the thing and the place often enough
(`scenes.judge.one_thing.BARS`).
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AmusedPipeline

from scenes.judge.one_thing import BARS, COUNT, best_of, judged, one_thing_scenes, passes
from scenes.painted import painted, sheet
from scenes.render import Layout, draw
from scenes.tokens import vq
from scenes.tokens.export import MODEL
from scenes.world import Scene

STEPS, GUIDANCE_SCALES = 12, (2.0, 3.0, 4.0)
#: Pictures painted at a time.
CHUNK = 50


def paint(
    pipeline: AmusedPipeline, captions: Sequence[str], guidance_scale: float, steps: int, seed: int = 0
) -> np.ndarray:
    """uint8 pictures (n, SIZE, SIZE, 3) of captions."""
    given = {"num_inference_steps": steps, "guidance_scale": guidance_scale}
    return painted(pipeline, captions, chunk=CHUNK, seed=seed, **given)


def reconstructed(pipeline: AmusedPipeline, scenes: Sequence[Scene]) -> np.ndarray:
    """Renders of the scenes, through the autoencoder: what a perfect painter of tokens could show."""
    images = np.stack([draw(scene, Layout.drawn(seed)).image for seed, scene in enumerate(scenes)])
    return vq.decode(pipeline.vqvae, vq.encode(pipeline.vqvae, torch.from_numpy(images))).cpu().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--count", type=int, default=COUNT, help="scenes")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--guidance", type=float, nargs="+", default=GUIDANCE_SCALES, help="scales to paint with")
    parser.add_argument("--held-out", action="store_true", help="combinations that training never sees")
    parser.add_argument("--sheet", type=Path, help="where a sheet of samples is written")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    pipeline = AmusedPipeline.from_pretrained(arguments.model, dtype=torch.float32).to(arguments.device)
    pipeline.set_progress_bar_config(disable=True)
    scenes = one_thing_scenes(arguments.count, held_out=arguments.held_out)
    captions = [scene.caption() for scene in scenes]
    by_scale = {
        str(scale): judged(scenes, paint(pipeline, captions, scale, arguments.steps)) for scale in arguments.guidance
    }
    best = best_of(by_scale)
    if arguments.sheet:
        sheet(partial(paint, pipeline, steps=arguments.steps), arguments.guidance).save(arguments.sheet, optimize=True)
    report = {
        "model": str(arguments.model),
        "scenes": len(scenes),
        "held_out": arguments.held_out,
        "steps": arguments.steps,
        "of_renders_through_the_autoencoder": judged(scenes, reconstructed(pipeline, scenes)),
        "by_guidance_scale": by_scale,
        "best_guidance_scale": float(best),
        "bars": BARS,
        "passes": passes(by_scale[best]),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
