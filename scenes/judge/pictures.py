"""What the judge learns from and is examined on: renders, and renders that went through the autoencoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from scenes.autoencoder import to_pixels
from scenes.font import sprite
from scenes.judge.network import PLACE_NAMES, STYLE_NAMES, THING_NAMES, TINT_NAMES
from scenes.render import Layout, Picture, draw
from scenes.world import COLOURS, STYLES, TINTS, Scene, Thing, is_held_out, random_scene

#: Below this mean difference of the thing's pixels (of 255) a tint is hard to see: yellow cats, pink dogs.
VISIBLE = 35
GREY_STYLES = ("in black and white", "as a sketch")
#: Most noise added to latents before they are decoded: what a painter paints is not exact either.
LATENT_NOISE = 0.25
CHUNK = 64
#: Training scenes that are put under a style, and how often under each: what is hardest to see is learnt last.
RESTYLED = 0.45
STYLE_SHARES = (0.2, 0.2, 0.1, 0.15, 0.35)
#: Not the dataset's (11) nor the autoencoder's (7): no render of theirs is met here.
STREAM = 13


@cache
def changes(thing: str, tint: str) -> bool:
    """Whether a tint changes a thing enough to be seen."""
    plain, tinted = (np.asarray(sprite(thing, colour)).astype(np.float32) for colour in (None, tint))
    return float(np.abs(plain - tinted)[plain[..., 3] > 127, :3].mean()) >= VISIBLE


def shows_tint(thing: Thing, style: str | None) -> bool:
    """Whether a thing's tint (or that it has none) can be seen in a picture of it."""
    return style not in GREY_STYLES and (thing.tint is None or changes(thing.name, thing.tint))


def shows_place(place: str, style: str | None) -> bool:
    """Whether a place can be seen in a picture: a plain background without its colour is any of them."""
    return not (place in COLOURS and style in GREY_STYLES)


@dataclass(frozen=True, eq=False)
class Lesson:
    """Pictures and what they show.

    Attributes:
        images: (n, SIZE, SIZE, 3) uint8.
        things: (n, things) bool. place, style: (n,), numbers of names.
        regions: (n, SIZE, SIZE) uint8; 0 is the background.
        tints: (n, things): the tint of each thing that is there and shows it; -1 elsewhere.
    """

    images: Tensor
    things: Tensor
    place: Tensor
    style: Tensor
    regions: Tensor
    tints: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: Tensor) -> "Lesson":
        return Lesson(**{name: value[chosen] for name, value in vars(self).items()})


def scenes(rng: np.random.Generator, *, held_out: bool = False) -> Iterator[Scene]:
    """Scenes without end; in training tints and styles are commoner than in the painter's world, some places empty."""
    while True:
        scene = random_scene(rng, held_out=held_out)
        if not held_out and rng.random() < RESTYLED:
            scene = replace(scene, style=str(rng.choice(STYLES, p=STYLE_SHARES)))
        if not held_out and rng.random() < 0.05:
            scene = Scene((), scene.place, scene.style)
        elif not held_out and rng.random() < 0.35:
            free = [tint for tint in TINTS if tint != scene.place]
            tinted = Scene(tuple(Thing(t.name, str(rng.choice(free))) for t in scene.things), scene.place, scene.style)
            scene = scene if is_held_out(tinted) else tinted
        yield scene


def lesson(seed: int, count: int, vae: AutoencoderKL | None, *, held_out: bool = False) -> Lesson:
    """`count` pictures of a seed.

    Args:
        vae: two thirds of the pictures go through it, their latents disturbed; None leaves all as they were drawn.
        held_out: of scenes whose combinations training never sees.
    """
    rng = np.random.default_rng([STREAM, seed, held_out])
    drawn: list[tuple[Scene, Picture]] = []
    for scene in scenes(rng, held_out=held_out):
        room = 2 if len(scene.things) == 2 or rng.random() < 0.2 else 1
        drawn.append((scene, draw(scene, Layout.drawn(int(rng.integers(2**31)), room))))
        if len(drawn) == count:
            break
    images = np.stack([picture.image for _, picture in drawn])
    if vae is not None:
        through = np.flatnonzero(rng.random(count) < 2 / 3)
        for start in range(0, len(through), CHUNK):
            chosen = through[start : start + CHUNK]
            images[chosen] = reconstructed(images[chosen], vae, rng)
    return Lesson(torch.from_numpy(images), *_labels(drawn))


@torch.no_grad()
def reconstructed(images: np.ndarray, vae: AutoencoderKL, rng: np.random.Generator | None = None) -> np.ndarray:
    """Pictures through the autoencoder; with `rng`, by latents disturbed up to `LATENT_NOISE` of their deviation."""
    latents = vae.encode(to_pixels(images)).latent_dist.mean
    if rng is not None:
        strength = torch.from_numpy(rng.uniform(0, LATENT_NOISE, len(images)).astype(np.float32))
        noise = torch.from_numpy(rng.standard_normal(latents.shape, np.float32))
        latents = latents + strength[:, None, None, None] * noise / vae.config.scaling_factor
    return to_images(vae.decode(latents).sample)


def to_images(pixels: Tensor) -> np.ndarray:
    """Float (n, 3, height, width) in -1..1 to uint8 (n, height, width, 3)."""
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _labels(drawn: Sequence[tuple[Scene, Picture]]) -> tuple[Tensor, ...]:
    things = torch.zeros(len(drawn), len(THING_NAMES), dtype=torch.bool)
    tints = torch.full((len(drawn), len(THING_NAMES)), -1)
    regions = torch.zeros(len(drawn), *drawn[0][1].image.shape[:2], dtype=torch.uint8)
    for index, (scene, picture) in enumerate(drawn):
        for thing, mask in zip(scene.things, picture.masks, strict=True):
            name = THING_NAMES.index(thing.name)
            things[index, name] = True
            regions[index][torch.from_numpy(mask)] = name + 1
            if shows_tint(thing, scene.style):
                tints[index, name] = TINT_NAMES.index(thing.tint)
    place = torch.tensor([PLACE_NAMES.index(scene.place) for scene, _ in drawn])
    style = torch.tensor([STYLE_NAMES.index(scene.style) for scene, _ in drawn])
    return things, place, style, regions, tints
