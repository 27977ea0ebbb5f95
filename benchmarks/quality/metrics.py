"""What is counted of an edit: whether it shows what was asked for, what it left alone, how near it is to the truth."""

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.quality.changes import Change
from p2p import similarity
from scenes.judge.pictures import shows_place, shows_tint
from scenes.judge.verdict import Verdict
from scenes.world import Scene

#: Equal pictures would be infinitely good; this is an error of one level in one of 4000 values.
MOST_PSNR = 60.0
#: Pixels by which a thing's region is widened: the autoencoder bleeds over a mask's edge.
MARGIN = 3
#: A removed thing is gone if any thing is seen in less than this share of its pixels.
GONE = 0.1
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
        return shows(after, change.after) and (change.kind != "remove" or is_gone(change, before, after))
    names = {thing.name for thing in change.before.things}
    if after.things != names or (
        after.place != change.after.place and shows_place(change.after.place, change.after.style)
    ):
        return False
    asked = f"{change.things[0]}:{change.word}" if change.things else str(change.after.style)
    moved = after.chances[asked] - before.chances[asked]
    return moved >= MOVED if change.weight > 1 else moved <= -MOVED


def is_gone(change: Change, before: Verdict, after: Verdict) -> bool:
    """Whether nothing stands where the removed thing was: two of what is kept would be the right set of things, too."""
    was = before.mask(*change.things)
    return bool((after.mask(*after.masks) & was).sum() < GONE * max(was.sum(), 1))


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
    """Decibels between uint8 pictures (height, width, 3), over the pixels of `where`; None if there are none."""
    if where is not None:
        if not where.any():
            return None
        one, other = one[where], other[where]
    return min(MOST_PSNR, similarity.psnr(one, other))


def ssim(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float | None:
    """Structural similarity with all but `where` blackened in both, over the whole frame; None if that is nothing.

    PIE-Bench's way (Ju et al. 2023, `evaluation/matrics_calculator.py`): high where little is compared.
    """
    if not where.any():
        return None
    return similarity.ssim(*(picture * where[..., None] for picture in (one, other)))
