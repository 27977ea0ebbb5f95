"""What is counted of an edit: whether it shows what was asked for, what it left alone, how near it is to the truth."""

import math

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.quality.changes import Change
from scenes.judge.pictures import shows_place, shows_tint
from scenes.judge.verdict import Verdict
from scenes.world import Scene

#: Equal pictures would be infinitely good; this is an error of one level in one of 4000 values.
MOST_PSNR = 60.0
#: Pixels by which a thing's region is widened: the autoencoder bleeds over a mask's edge.
MARGIN = 3
#: How far a word's log-odds must move for its fader to count as moved: odds of 1 to e.
MOVED = 1.0


def shows(verdict: Verdict, scene: Scene) -> bool:
    """Whether a picture shows a scene: its things and none besides, and their tints, the place and the style.

    What a style hides (tints and plain backgrounds in black and white or in a sketch) is not asked.
    """
    return (
        verdict.things == {thing.name for thing in scene.things}
        and verdict.style == scene.style
        and (verdict.place == scene.place or not shows_place(scene.place, scene.style))
        and all(verdict.tints[t.name] == t.tint for t in scene.things if shows_tint(t, scene.style))
    )


def succeeds(change: Change, before: Verdict, after: Verdict) -> bool:
    """Whether an edit did what was asked; a fader's, whether what its word says is more or less so than before."""
    if change.word is None:
        return shows(after, change.after)
    names = {thing.name for thing in change.before.things}
    if after.things != names or (
        after.place != change.after.place and shows_place(change.after.place, change.after.style)
    ):
        return False
    asked = f"{change.things[0]}:{change.word}" if change.things else str(change.after.style)
    moved = after.chances[asked] - before.chances[asked]
    return moved >= MOVED if change.weight > 1 else moved <= -MOVED


def may_change(change: Change, before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> np.ndarray:
    """The pixels that an edit is free to change, (height, width) bool.

    Args:
        before, after: per thing, its mask in the source and in the edited picture; the judge's or the renderer's.
    """
    shape = next(iter(before.values())).shape
    if change.local:
        masks = [masks[name] for masks in (before, after) for name in change.things if name in masks]
        return widened(np.any([np.zeros(shape, bool), *masks], axis=0))
    if change.kind == "place":
        # All but what every picture must keep: the things, without the edge that they share with the place.
        return widened(~np.any(list(before.values()), axis=0), 1)
    return np.ones(shape, bool)


def widened(mask: np.ndarray, margin: int = MARGIN) -> np.ndarray:
    """A mask and all pixels within `margin` of it, in a square."""
    return np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(2 * margin + 1))) > 0


def psnr(one: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float | None:
    """Decibels between uint8 pictures (height, width, 3), over the pixels of `where`; None where there are none."""
    squares = (one.astype(np.float64) - other) ** 2
    if where is not None:
        if not where.any():
            return None
        squares = squares[where]
    return min(MOST_PSNR, 10 * math.log10(255**2 / max(squares.mean(), 1e-9)))


def ssim(one: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float | None:
    """Structural similarity of uint8 pictures in grey (Wang et al. 2004), the mean over `where`; None where empty.

    Windows are boxes of 7x7 pixels, as in the first published code and scikit-image.
    """
    x, y = (picture.astype(np.float64) @ [0.299, 0.587, 0.114] for picture in (one, other))

    def mean(values: np.ndarray) -> np.ndarray:
        padded = np.pad(values, 3, mode="reflect")
        return np.lib.stride_tricks.sliding_window_view(padded, (7, 7)).mean((-2, -1))

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    local = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    if where is None:
        return float(local.mean())
    return float(local[where].mean()) if where.any() else None
