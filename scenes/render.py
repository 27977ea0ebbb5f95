"""Draws a scene: the description says what, the layout says where, and neither knows the other.

So one layout can be drawn with a thing swapped, tinted, added or removed, or with the place or the style
changed: the true edited picture, which no photograph has.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from scenes.font import GREY, sprite
from scenes.world import COLOURS, Scene

#: Pixels a side.
SIZE = 64


@dataclass(frozen=True)
class Slot:
    """Where one thing stands: the middle of its foot, its longer side in pixels, and whether it is mirrored."""

    x: float
    foot: float
    size: float
    flip: bool


@dataclass(frozen=True)
class Layout:
    """Everything about a picture that its caption does not say."""

    horizon: int
    slots: tuple[Slot, ...]  # two; a scene of more things than a caption says has more
    grain: int  # seed of what is drawn at random on top: rain

    @classmethod
    def drawn(cls, seed: int, room: int = 1) -> "Layout":
        """The layout of a seed, with room for one thing or for two.

        Args:
            seed: any non-negative integer.
            room: 1 lets the first thing be large and anywhere; 2 keeps both slots apart. An edit that adds or
                removes a thing draws both pictures with 2, so that the thing that stays does not move.
        """
        rng = np.random.default_rng([seed, room])
        horizon = int(rng.integers(26, 40))
        centres = (
            [rng.uniform(15, 21), rng.uniform(43, 49)] if room == 2 else [rng.uniform(21, 43), rng.uniform(21, 43)]
        )
        if rng.random() < 0.5:
            centres.reverse()
        smallest, largest = (22, 29) if room == 2 else (30, 46)
        slots = []
        for x in centres:
            size = rng.uniform(smallest, largest)
            foot = min(horizon + rng.uniform(4, 20), SIZE - 1)
            slots.append(Slot(x, max(foot, size + 1), size, bool(rng.random() < 0.5)))
        return cls(horizon, (slots[0], slots[1]), int(rng.integers(2**31)))


@dataclass(frozen=True)
class Picture:
    """A drawn scene: `image` (SIZE, SIZE, 3) uint8, and per thing the pixels it covers, (SIZE, SIZE) bool."""

    image: np.ndarray
    masks: tuple[np.ndarray, ...]


def draw(scene: Scene, layout: Layout) -> Picture:
    """The picture of a scene in a layout, and each thing's mask (what a later thing hides is not in it)."""
    canvas = background(scene.place, layout.horizon)
    masks: list[np.ndarray] = []
    for thing, slot in zip(scene.things, layout.slots, strict=False):
        covered = paste(canvas, sprite(thing.name, thing.tint), slot)
        masks = [mask & ~covered for mask in masks] + [covered]
    canvas = styled(canvas, scene.style, layout.grain)
    return Picture(np.clip(canvas, 0, 255).astype(np.uint8), tuple(masks))


def gradient(top, bottom, rows: int) -> np.ndarray:
    share = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None]
    return np.broadcast_to(
        np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share, (rows, SIZE, 3)
    )


#: Sky and ground, each from its top to its bottom colour.
SKY_AND_GROUND = {
    "beach": ((90, 170, 245), (180, 220, 250), (240, 215, 150), (225, 190, 120)),
    "grass": ((110, 180, 250), (200, 230, 250), (90, 190, 70), (50, 140, 40)),
    "desert": ((250, 200, 120), (255, 225, 170), (220, 150, 70), (190, 120, 50)),
    "snow": ((150, 185, 220), (205, 220, 235), (250, 250, 255), (225, 235, 245)),
    "table": ((235, 225, 205), (235, 225, 205), (150, 95, 50), (140, 85, 45)),
    "road": ((150, 190, 230), (210, 220, 230), (95, 95, 100), (95, 95, 100)),
}


def background(place: str, horizon: int) -> np.ndarray:
    """The empty place, (SIZE, SIZE, 3) float32 in 0..255."""
    canvas = np.zeros((SIZE, SIZE, 3), np.float32)
    if place in COLOURS:
        canvas[:] = COLOURS[place]
        return canvas
    sky_top, sky_low, ground_top, ground_low = SKY_AND_GROUND[place]
    canvas[:horizon] = gradient(sky_top, sky_low, horizon)
    canvas[horizon:] = gradient(ground_top, ground_low, SIZE - horizon)
    if place == "beach":
        canvas[horizon - 8 : horizon] = (30, 110, 190)
    elif place == "table":
        canvas[horizon::6] -= 18  # planks
    elif place == "road":
        middle = (horizon + SIZE) // 2
        canvas[middle - 1 : middle + 1, (np.arange(SIZE) // 8) % 2 == 0] = (240, 230, 120)
    return canvas


def paste(canvas: np.ndarray, glyph: Image.Image, slot: Slot) -> np.ndarray:
    """Draws a glyph into `canvas` at a slot; returns the pixels it covers, (SIZE, SIZE) bool."""
    scale = slot.size / max(glyph.size)
    width, height = (max(4, round(side * scale)) for side in glyph.size)
    glyph = glyph.resize((width, height), Image.Resampling.LANCZOS)
    if slot.flip:
        glyph = glyph.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    x = int(np.clip(slot.x - width / 2, 0, SIZE - width))
    y = int(np.clip(slot.foot - height, 0, SIZE - height))
    pixels = np.asarray(glyph).astype(np.float32)
    alpha = pixels[..., 3:] / 255
    box = np.s_[y : y + height, x : x + width]
    canvas[box] = canvas[box] * (1 - alpha) + pixels[..., :3] * alpha
    covered = np.zeros((SIZE, SIZE), bool)
    covered[box] = alpha[..., 0] > 0.5
    return covered


def styled(canvas: np.ndarray, style: str | None, grain: int) -> np.ndarray:
    """The picture under a global style; `grain` seeds what the style draws at random."""
    return STYLED[style](canvas, grain)


def black_and_white(canvas: np.ndarray, grain: int) -> np.ndarray:
    return np.repeat((canvas @ GREY)[..., None], 3, -1)


def night(canvas: np.ndarray, grain: int) -> np.ndarray:
    return canvas * np.asarray([0.28, 0.32, 0.55], np.float32) + np.asarray([0, 2, 22], np.float32)


def sunset(canvas: np.ndarray, grain: int) -> np.ndarray:
    glow = np.linspace(1, 0.5, SIZE, dtype=np.float32)[:, None, None] * np.asarray([70, 10, 20], np.float32)
    return canvas * np.asarray([1, 0.72, 0.55], np.float32) + glow


def rain(canvas: np.ndarray, grain: int) -> np.ndarray:
    rng = np.random.default_rng(grain)
    canvas = canvas * 0.72 + 40
    length = np.arange(7)
    for x, y in zip(rng.integers(0, SIZE, 26), rng.integers(0, SIZE - 7, 26), strict=True):
        drop = y + length, (x - length // 2) % SIZE
        canvas[drop] = canvas[drop] * 0.4 + np.asarray([190, 210, 235], np.float32) * 0.6
    return canvas


def sketch(canvas: np.ndarray, grain: int) -> np.ndarray:
    grey = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8)).convert("L").filter(ImageFilter.GaussianBlur(0.6))
    tone = np.asarray(grey).astype(np.float32)
    edges = np.abs(np.diff(tone, axis=1, append=tone[:, -1:])) + np.abs(np.diff(tone, axis=0, append=tone[-1:]))
    return np.repeat((255 - np.clip(edges * 3, 0, 235))[..., None], 3, -1)


STYLED = {
    None: lambda canvas, grain: canvas,
    "in black and white": black_and_white,
    "at night": night,
    "at sunset": sunset,
    "in the rain": rain,
    "as a sketch": sketch,
}
