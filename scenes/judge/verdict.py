"""How the judge is asked: pictures in, names and masks out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional

from scenes.autoencoder import to_pixels
from scenes.judge.network import PLACE_NAMES, SIDE, STYLE_NAMES, THING_NAMES, TINT_NAMES, Judge

WEIGHTS = Path(__file__).parent / "weights.safetensors"
CHUNK = 64


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the judge sees in one picture.

    Attributes:
        things: the names of the things that are there.
        place, style: the likeliest; a style of None is no style.
        tints: of every thing, there or not, the likeliest tint; None is its own colours.
        masks: per thing that is there, (SIDE, SIDE) bool.
        chances: log-odds of every thing, place, style ("None" for none), and of "thing:tint" for each thing there.
    """

    things: frozenset[str]
    place: str
    style: str | None
    tints: dict[str, str | None]
    masks: dict[str, np.ndarray]
    chances: dict[str, float]

    def mask(self, *names: str) -> np.ndarray:
        """The pixels of named things, (SIDE, SIDE) bool; nothing if none of them is there."""
        return np.any([np.zeros((SIDE, SIDE), bool), *(self.masks[n] for n in names if n in self.masks)], axis=0)


def load(path: Path = WEIGHTS) -> Judge:
    """The trained judge of this repository."""
    judge = Judge()
    # Without the batch norms' counters, which only training reads.
    judge.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()}, strict=False)
    return judge.eval()


def save(judge: Judge, steps: int, path: Path = WEIGHTS) -> None:
    """Writes a judge in half precision, with the number of steps that trained it."""
    tensors = {name: t.contiguous().half() for name, t in judge.state_dict().items() if t.is_floating_point()}
    save_file(tensors, path, metadata={"steps": str(steps)})


def steps_seen(path: Path = WEIGHTS) -> int:
    """How many steps trained the judge of a file."""
    with safe_open(path, "pt") as file:
        return int(file.metadata()["steps"])


@torch.no_grad()
def verdicts(judge: Judge, images: Sequence[np.ndarray] | np.ndarray) -> list[Verdict]:
    """A verdict on every picture, each (height, width, 3) uint8; other sizes than the judge's are resized to it."""
    found: list[Verdict] = []
    for start in range(0, len(images), CHUNK):
        pictures = to_pixels(np.stack(list(images[start : start + CHUNK])))
        if pictures.shape[-1] != SIDE:
            pictures = functional.interpolate(pictures, (SIDE, SIDE), mode="area")
        answers = judge(pictures)
        shares = answers.regions.softmax(1)
        pixels = shares.argmax(1)
        tints = torch.stack([answers.tint_within(shares[:, 1 + n]) for n in range(len(THING_NAMES))], 1)
        for row in range(len(pictures)):
            there = [n for n, logit in enumerate(answers.things[row].tolist()) if logit > 0]
            found.append(
                Verdict(
                    things=frozenset(THING_NAMES[n] for n in there),
                    place=PLACE_NAMES[int(answers.place[row].argmax())],
                    style=STYLE_NAMES[int(answers.style[row].argmax())],
                    tints={name: TINT_NAMES[int(tints[row, n].argmax())] for n, name in enumerate(THING_NAMES)},
                    masks={THING_NAMES[n]: (pixels[row] == n + 1).numpy() for n in there},
                    chances=dict(zip(THING_NAMES, answers.things[row].tolist(), strict=True))
                    | dict(zip(PLACE_NAMES, log_odds(answers.place[row]), strict=True))
                    | dict(zip(map(str, STYLE_NAMES), log_odds(answers.style[row]), strict=True))
                    | {
                        f"{THING_NAMES[n]}:{TINT_NAMES[t]}": odds
                        for n in there
                        for t, odds in enumerate(log_odds(tints[row, n]))
                    },
                )
            )
    return found


def log_odds(logits: torch.Tensor) -> list[float]:
    """Of each class against all others, (classes,) logits of a softmax."""
    others = torch.stack([torch.cat([logits[:n], logits[n + 1 :]]).logsumexp(0) for n in range(len(logits))])
    return (logits - others).tolist()
