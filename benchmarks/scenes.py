"""`python -m benchmarks.scenes`: does the built-in model look where its nouns are?

200 drawn scenes from outside the training set (combinations it never saw) are encoded and noised to the middle
timestep. A noun is localised where its averaged map, read through `p2p`'s own maps and enlarged to the picture, has
its maximum on a pixel that its thing covers. Needs the emoji font (`make font`).
"""

import argparse
import json
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch.nn import functional

from p2p.families import load
from p2p.families.base import ModelFamily
from p2p.families.stable_diffusion import StableDiffusion
from p2p.reading import read_maps
from p2p.tokens import tokenize
from scenes.autoencoder import to_pixels
from scenes.render import Layout, draw
from scenes.world import Scene, random_scene

MODEL = Path("scenes/model")
SEED, SCENES, CHUNK = 2208_01626, 200, 50
TIMESTEP = 500


def held_out_scenes(count: int) -> list[tuple[Scene, Layout]]:
    """Scenes outside the training set, in layouts of their own."""
    rng = np.random.default_rng(SEED)
    scenes = [random_scene(rng, held_out=True) for _ in range(count)]
    return [(scene, Layout.drawn(int(rng.integers(2**31)), room=len(scene.things))) for scene in scenes]


@torch.no_grad()
def localised(family: ModelFamily, scenes: list[tuple[Scene, Layout]]) -> list[bool]:
    """Per noun of every scene, whether its map's maximum lies inside its thing's mask."""
    pictures = [draw(scene, layout) for scene, layout in scenes]
    pipeline = cast(StableDiffusion, family).pipeline
    vae = pipeline.vae
    clean = vae.encode(to_pixels(np.stack([p.image for p in pictures]))).latent_dist.mean * vae.config.scaling_factor
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(SEED))
    timestep = torch.tensor(TIMESTEP)
    noised = DDIMScheduler.from_config(pipeline.scheduler.config).add_noise(clean, noise, timestep[None])
    maps = read_maps(family, noised, timestep, [scene.caption() for scene, _ in scenes])
    verdicts = []
    for (scene, _), picture, of_tokens in zip(scenes, pictures, maps, strict=True):
        tokens = tokenize(scene.caption(), family.tokenizer)
        for thing, mask in zip(scene.things, picture.masks, strict=True):
            noun = of_tokens[list(tokens.named(thing.name))].sum(0)
            enlarged = functional.interpolate(noun[None, None], size=mask.shape, mode="bilinear")[0, 0]
            verdicts.append(bool(mask.flat[int(enlarged.argmax())]))
    return verdicts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--quick", action="store_true", help="50 scenes")
    arguments = parser.parse_args()
    family = load("stable_diffusion", str(arguments.model))
    scenes = held_out_scenes(CHUNK if arguments.quick else SCENES)
    chunks = [scenes[start : start + CHUNK] for start in range(0, len(scenes), CHUNK)]
    verdicts = [verdict for chunk in chunks for verdict in localised(family, chunk)]
    samples_seen = json.loads((arguments.model / "training.json").read_text())["samples_seen"]
    print(json.dumps({"localised": round(float(np.mean(verdicts)), 4), "samples_seen": samples_seen}))


if __name__ == "__main__":
    main()
