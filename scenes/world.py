"""What a scene may contain and how it is said: things, tints, places, styles, and the caption's grammar."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from zlib import crc32

import numpy as np

#: Word and glyph. Faces and plain silhouettes: what 16x16 latents can hold.
THINGS = {
    "cat": "🐱", "dog": "🐶", "rabbit": "🐰", "panda": "🐼", "frog": "🐸", "penguin": "🐧", "fish": "🐟",
    "apple": "🍎", "pizza": "🍕", "strawberry": "🍓", "mushroom": "🍄", "sunflower": "🌻", "tree": "🌳",
    "car": "🚗", "house": "🏠", "robot": "🤖",
}  # fmt: skip
#: A thing that no caption of the model's training has: a LoRA adds it (`scenes.lora`).
NEW_THING = "fox"
NEW_THINGS = {NEW_THING: "🦊"}
COLOURS = {
    "red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 90, 220), "yellow": (240, 210, 50),
    "purple": (150, 60, 200), "pink": (250, 130, 180), "white": (245, 245, 245),
}  # fmt: skip
TINTS = ("red", "green", "blue", "yellow", "purple", "pink")
GROUNDS = {
    "beach": "on a beach", "grass": "on the grass", "desert": "in the desert", "snow": "in the snow",
    "table": "on a table", "road": "on a road",
}  # fmt: skip
PLACES = GROUNDS | {colour: f"on a {colour} background" for colour in COLOURS}
STYLES = ("in black and white", "at night", "at sunset", "in the rain", "as a sketch")

#: Share of the (thing, place, tint) combinations that training never sees.
HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Thing:
    """One thing of a scene, in its own colours or tinted."""

    name: str
    tint: str | None = None

    def words(self) -> str:
        return f"{self.tint} {self.name}" if self.tint else self.name


@dataclass(frozen=True)
class Scene:
    """What a caption says; where things stand is the layout's business (`render.Layout`)."""

    things: tuple[Thing, ...]
    place: str
    style: str | None = None

    def caption(self) -> str:
        """The scene in words, for example "a purple cat and a dog on a beach at night"."""
        things = " and ".join(f"{article(thing.words())} {thing.words()}" for thing in self.things)
        return " ".join(filter(None, (things, PLACES[self.place], self.style)))


def article(words: str) -> str:
    return "an" if words[0] in "aeiou" else "a"


def combinations() -> Iterator[tuple[str, str, str | None]]:
    """Every (thing, place, tint) that can be told apart: a tint equal to the background hides the thing."""
    return ((t, p, c) for t, p, c in product(THINGS, PLACES, (None, *TINTS)) if c is None or c != p)


def _held_out() -> frozenset[tuple[str, str, str | None]]:
    # Ordered by a hash of the words, so that the choice is arbitrary, stable, and needs no seed or file.
    ordered = sorted(combinations(), key=lambda combination: crc32(repr(combination).encode()))
    return frozenset(ordered[: round(len(ordered) * HELD_OUT_SHARE)])


HELD_OUT = _held_out()


def is_held_out(scene: Scene) -> bool:
    """Whether any of the scene's (thing, place, tint) combinations is kept out of training."""
    return any((thing.name, scene.place, thing.tint) in HELD_OUT for thing in scene.things)


def random_scene(rng: np.random.Generator, *, held_out: bool = False) -> Scene:
    """A scene drawn at random: one or two things, a quarter of them tinted, a third under a style.

    `held_out` asks for a scene outside the training set; otherwise the scene is inside it.
    """
    while True:
        place = str(rng.choice(list(GROUNDS if rng.random() < 0.6 else COLOURS)))
        count = 2 if rng.random() < 0.3 else 1
        names = rng.choice(list(THINGS), count, replace=False)
        free = [tint for tint in TINTS if tint != place]
        things = tuple(Thing(str(n), str(rng.choice(free)) if rng.random() < 0.25 else None) for n in names)
        scene = Scene(things, place, str(rng.choice(STYLES)) if rng.random() < 0.3 else None)
        if is_held_out(scene) == held_out:
            return scene
