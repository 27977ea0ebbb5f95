"""What is edited, and the changes asked of each: generated pictures, and drawn ones, whose true edits are known.

A generated source that the judge does not accept is left out and the next one taken: an edit of a cat that is none
would count the model's failure to paint the cat.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.quality.changes import COLOURED, KINDS, Change
from benchmarks.quality.metrics import shows
from benchmarks.quality.painting import GUIDANCE_SCALE, decoded, noise_of, paint
from p2p.families.base import ModelFamily, to_pixels
from p2p.inversion import DEFAULT, invert
from p2p.spec import Sampling, State
from p2p.trajectory import Trajectory
from scenes.judge.network import Judge
from scenes.judge.pictures import changes as changes_seen
from scenes.judge.verdict import Verdict, verdicts
from scenes.render import Layout, draw
from scenes.world import TINTS, Scene, Thing, random_scene

SEED = 2208_01626
#: Most scenes whose candidates are painted and judged at once, and the seeds that each is painted from.
SCENES_AT_ONCE, TRIES = 12, 2
#: How drawn pictures are inverted. Of tokens `direct` holds the source alone: edits of it draw noise that no photo has.
INVERTED_BY: Mapping[State, str] = {"latents": DEFAULT, "tokens": "edit_friendly", "flows": DEFAULT}


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """A picture that is edited, and what is asked of it.

    Attributes:
        scene: what it shows.
        seed: of its noise; for a drawn one, of its layout.
        image: (height, width, 3) uint8.
        latents: (1, channels, height, width), of the image through the encoder.
        noise: (1, channels, height, width), where its run starts: the seed's, or an inversion's.
        masks: per thing, (height, width) bool: the judge's of a generated one, the renderer's of a drawn one.
        verdict: the judge's, of the image.
        trajectory: of a drawn one: its inversion.
        layout: of a drawn one.
        guidance_scale: that it was painted or inverted with; its edits are guided alike.
    """

    scene: Scene
    seed: int
    changes: tuple[Change, ...]
    image: np.ndarray
    latents: Tensor
    noise: Tensor
    masks: dict[str, np.ndarray]
    verdict: Verdict
    trajectory: Trajectory | None = None
    layout: Layout | None = None
    guidance_scale: float = GUIDANCE_SCALE


@dataclass(frozen=True)
class Family:
    """A kind of source: how its scenes are drawn, and which kinds of changes are asked of each."""

    scene: Callable[[np.random.Generator], Scene]
    kinds: tuple[str, ...]

    def asked(self, scene: Scene, rng: np.random.Generator) -> tuple[Change, ...]:
        return tuple(make(scene, rng) for kind in self.kinds for make in KINDS[kind])


def one_thing(rng: np.random.Generator) -> Scene:
    """A thing in its own colours, every third time under a style that leaves colours."""
    scene = _scene(rng, 1)
    style = str(rng.choice(COLOURED)) if rng.random() < 1 / 3 else None
    return Scene((Thing(scene.things[0].name),), scene.place, style)


def two_things(rng: np.random.Generator) -> Scene:
    scene = _scene(rng, 2)
    return Scene(tuple(Thing(thing.name) for thing in scene.things), scene.place)


def with_fader(rng: np.random.Generator) -> Scene:
    """A scene with a word to turn up or down: a style, or a tint that can be seen."""
    scene = one_thing(rng)
    if rng.random() < 0.5:
        return replace(scene, style=str(rng.choice(COLOURED)))
    name = scene.things[0].name
    tints = [tint for tint in TINTS if tint != scene.place and changes_seen(name, tint)]
    return Scene((Thing(name, str(rng.choice(tints))),), scene.place)


def _scene(rng: np.random.Generator, count: int) -> Scene:
    return next(scene for scene in iter(lambda: random_scene(rng), None) if len(scene.things) == count)


#: How many sources of each family there are: 28 * 5 + 15 * 2 + 15 * 2 = 200 edits of generated pictures.
GENERATED: tuple[tuple[int, Family], ...] = (
    (28, Family(one_thing, ("thing", "place", "tint", "add", "style"))),
    (15, Family(two_things, ("remove",))),
    (15, Family(with_fader, ("reweight",))),
)
#: And 20 * 4 + 10 * 2 = 100 of drawn ones, of the kinds that have a true answer.
DRAWN: tuple[tuple[int, Family], ...] = (
    (20, Family(one_thing, ("thing", "place", "tint", "style"))),
    (10, Family(two_things, ("remove",))),
)


def wanted(
    families: Sequence[tuple[int, Family]], share: float, kinds: Sequence[str] = tuple(KINDS)
) -> list[tuple[int, Family]]:
    """The same sources, but a share of them: at least one of each family that has any of the kinds."""
    # A family keeps its number, which its sources are drawn from, also where none of them is asked for.
    return [
        (max(1, round(count * share)) if set(kinds) & set(family.kinds) else 0, family) for count, family in families
    ]


def of_kinds(sources: Sequence[Source], kinds: Sequence[str]) -> list[Source]:
    """The sources with those of their changes alone; each change is what it is among all kinds."""
    return [
        replace(source, changes=tuple(change for change in source.changes if change.kind in kinds))
        for source in sources
    ]


def generated(
    families: Sequence[tuple[int, Family]],
    family: ModelFamily,
    judge: Judge,
    *,
    seed: int = SEED,
    steps: int,
    guidance_scale: float = GUIDANCE_SCALE,
) -> list[Source]:
    """Generated sources, the first of each family's candidates that the judge accepts."""
    found: list[Source] = []
    for number, (count, of) in enumerate(families):
        rng, at_once = np.random.default_rng([seed, number]), min(SCENES_AT_ONCE, 2 * count)
        found += islice(_accepted(of, family, judge, rng, steps, guidance_scale, at_once), count)
    return found


def _accepted(
    of: Family,
    family: ModelFamily,
    judge: Judge,
    rng: np.random.Generator,
    steps: int,
    guidance_scale: float,
    at_once: int,
) -> Iterator[Source]:
    """Accepted sources without end; each scene is painted from `TRIES` seeds, and edited once."""
    while True:
        scenes = [scene for _ in range(at_once) for scene in [of.scene(rng)] * TRIES]
        seeds = [int(rng.integers(2**31)) for _ in scenes]
        noise = torch.cat([noise_of(seed, family) for seed in seeds])
        captions = [scene.caption() for scene in scenes]
        states = paint(family, captions, noise, seeds, steps=steps, guidance_scale=guidance_scale)
        images = decoded(family, states)
        done: set[Scene] = set()
        for index, (scene, verdict) in enumerate(zip(scenes, verdicts(judge, images), strict=True)):
            if scene in done or not shows(verdict, scene):
                continue
            done.add(scene)
            yield Source(
                scene=scene,
                seed=seeds[index],
                # Of its own seed: what is asked of one source does not hang on which others were accepted.
                changes=of.asked(scene, np.random.default_rng(seeds[index])),
                image=images[index],
                latents=encoded(family, images[index]),
                noise=noise[index : index + 1],
                masks=verdict.masks,
                verdict=verdict,
                guidance_scale=guidance_scale,
            )


def drawn(
    families: Sequence[tuple[int, Family]],
    family: ModelFamily,
    judge: Judge,
    *,
    seed: int = SEED,
    steps: int,
    guidance_scale: float = GUIDANCE_SCALE,
    inversion: str | None = None,
) -> list[Source]:
    """Drawn sources, inverted: the source's row of their edits is the picture itself.

    Args:
        inversion: a method's name; `INVERTED_BY` where it is None.
    """
    inversion = inversion or INVERTED_BY[family.state]
    found = []
    for number, (count, of) in enumerate(families):
        rng = np.random.default_rng([seed, len(GENERATED), number])
        for _ in range(count):
            scene, layout_seed = of.scene(rng), int(rng.integers(2**31))
            sampling = Sampling(steps=steps, guidance_scale=guidance_scale, seed=layout_seed)
            found.append(_drawn(scene, of.asked(scene, rng), family, judge, sampling, inversion))
    return found


def _drawn(
    scene: Scene,
    changes: tuple[Change, ...],
    family: ModelFamily,
    judge: Judge,
    sampling: Sampling,
    inversion: str,
) -> Source:
    seed, guidance_scale = cast(int, sampling.seed), cast(float, sampling.guidance_scale)
    layout = Layout.drawn(seed, room=len(scene.things))
    picture = draw(scene, layout)
    (verdict,) = verdicts(judge, [picture.image])
    found = invert(Image.fromarray(picture.image), scene.caption(), family, method=inversion, sampling=sampling)
    return Source(
        scene=scene,
        seed=seed,
        changes=changes,
        image=picture.image,
        latents=found.latents,
        noise=found.trajectory.noise,
        masks={thing.name: mask for thing, mask in zip(scene.things, picture.masks, strict=True)},
        verdict=verdict,
        trajectory=found.trajectory,
        layout=layout,
        guidance_scale=guidance_scale,
    )


@torch.no_grad()
def encoded(family: ModelFamily, image: np.ndarray) -> Tensor:
    """(1, channels, height, width): a picture's latents, or its tokens."""
    return family.encode(to_pixels([Image.fromarray(image)]))
