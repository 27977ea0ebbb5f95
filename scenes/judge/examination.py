"""How well the judge judges: its answers on renders of combinations and layouts that it never saw."""

from collections.abc import Callable

import numpy as np
from diffusers import AutoencoderKL

from scenes.judge.network import PLACE_NAMES, STYLE_NAMES, THING_NAMES, TINT_NAMES, Judge
from scenes.judge.pictures import lesson, shows_place
from scenes.judge.verdict import verdicts

#: Far from the training lessons' seeds, which count from 0.
SEED = 10**6


def examine(
    judge: Judge,
    count: int,
    vae: AutoencoderKL | None = None,
    through: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[str, float]:
    """Shares of right answers over `count` pictures of held-out scenes, and the mean IoU of their things' masks.

    A picture's things are right where all of them are found and none besides; tints and places count where
    they can be seen in the picture (`pictures.shows_tint`, `pictures.shows_place`).

    Args:
        vae: two thirds of the pictures go through it, as in training; None: plain renders.
        through: of uint8 pictures (n, height, width, 3), those that come back from another autoencoder: all of them do.
    """
    questions = lesson(SEED, count, vae, held_out=True)
    images = questions.images.numpy()
    found = verdicts(judge, images if through is None else through(images))
    things, places, tints, overlaps = [], [], [], []
    for row, verdict in enumerate(found):
        there = [THING_NAMES[n] for n in questions.things[row].nonzero().flatten()]
        things.append(verdict.things == set(there))
        style, place = STYLE_NAMES[questions.style[row]], PLACE_NAMES[questions.place[row]]
        if shows_place(place, style):
            places.append(verdict.place == place)
        for name in there:
            number = THING_NAMES.index(name)
            if (tint := int(questions.tints[row, number])) >= 0:
                tints.append(verdict.tints[name] == TINT_NAMES[tint])
            mask, truth = verdict.mask(name), questions.regions[row].numpy() == number + 1
            overlaps.append((mask & truth).sum() / (mask | truth).sum())
    return {
        "thing": share(things),
        "place": share(places),
        "tint": share(tints),
        "style": share([v.style == STYLE_NAMES[n] for v, n in zip(found, questions.style, strict=True)]),
        "iou": share(overlaps),
    }


def share(values: list) -> float:
    return round(float(np.mean(values)), 4)
