"""Whether the model paints what it is asked for: random scenes of its world, painted and judged."""

import numpy as np
import torch

from benchmarks.quality.painting import GUIDANCE_SCALE, decoded, noise_of, paint
from p2p.families.base import ModelFamily
from scenes.judge.examination import share
from scenes.judge.network import Judge
from scenes.judge.pictures import shows_place
from scenes.judge.verdict import Verdict, verdicts
from scenes.world import Scene, random_scene

SEED = 15_01626


def scenes_of(count: int, things: int, seed: int = SEED) -> list[Scene]:
    """Random scenes with so many things, tints and styles as they fall."""
    rng = np.random.default_rng([seed, things])
    found: list[Scene] = []
    while len(found) < count:
        if len((scene := random_scene(rng)).things) == things:
            found.append(scene)
    return found


def painted(scenes: list[Scene], family: ModelFamily, judge: Judge, steps: int, guidance_scale: float) -> list[Verdict]:
    """The judge's verdict on each scene, painted from the seed of its number."""
    seeds = [SEED + number for number in range(len(scenes))]
    noise = torch.cat([noise_of(seed, family) for seed in seeds])
    captions = [scene.caption() for scene in scenes]
    states = paint(family, captions, noise, seeds, steps=steps, guidance_scale=guidance_scale)
    return verdicts(judge, decoded(family, states))


def figures(
    family: ModelFamily, judge: Judge, ones: int, twos: int, steps: int, guidance_scale: float = GUIDANCE_SCALE
) -> dict[str, float]:
    """Shares of one-thing scenes with their thing and with their place, of two-thing scenes with both things.

    A place counts where it can be seen from the picture (`scenes.judge.pictures.shows_place`).
    """
    alone, pairs = scenes_of(ones, 1), scenes_of(twos, 2)
    seen = painted(alone, family, judge, steps, guidance_scale)
    of_pairs = painted(pairs, family, judge, steps, guidance_scale)
    return {
        "thing": share([s.things[0].name in v.things for s, v in zip(alone, seen, strict=True)]),
        "place": share([v.place == s.place for s, v in zip(alone, seen, strict=True) if shows_place(s.place, s.style)]),
        "both_things": share([{t.name for t in s.things} <= v.things for s, v in zip(pairs, of_pairs, strict=True)]),
    }
