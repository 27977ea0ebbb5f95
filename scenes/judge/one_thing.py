"""What the judge says of pictures of one thing: how a model of the world shows that it paints what it is asked for.

A model is good enough to be shipped where the judge sees the thing and the place often enough (`BARS`).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from scenes.judge.pictures import shows_place, shows_tint
from scenes.judge.verdict import load, verdicts
from scenes.world import Scene, random_scene

#: The least share of pictures in which the judge must see the thing, and of those that show it, the place.
BARS = {"thing": 0.85, "place": 0.9}
COUNT = 300

#: Shares by their names; None if no picture can show it.
Shares = Mapping[str, float | None]


def one_thing_scenes(count: int, *, held_out: bool = False) -> list[Scene]:
    """Scenes of one thing, as the world draws them, or of combinations that training never sees."""
    rng = np.random.default_rng([17, held_out])
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = random_scene(rng, held_out=held_out)
        if len(scene.things) == 1:
            scenes.append(scene)
    return scenes


def judged(scenes: Sequence[Scene], images: np.ndarray) -> dict[str, float | None]:
    """Shares of pictures that show what their scene says, of those that can show it; None if none can."""
    found = list(zip(scenes, verdicts(load(), images), strict=True))
    tinted = [(s.things[0], v) for s, v in found if s.things[0].tint and shows_tint(s.things[0], s.style)]
    return {
        "thing": _share([s.things[0].name in v.things for s, v in found]),
        "thing_alone": _share([v.things == {s.things[0].name} for s, v in found]),
        "place": _share([v.place == s.place for s, v in found if shows_place(s.place, s.style)]),
        "tint": _share([v.tints[thing.name] == thing.tint for thing, v in tinted]),
        "style": _share([v.style == s.style for s, v in found]),
    }


def best_of(by_scale: Mapping[str, Shares]) -> str:
    """The guidance scale at which the least of the shares that `BARS` asks for is furthest over its bar."""
    return max(by_scale, key=lambda scale: min(_over(by_scale[scale][name], bar) for name, bar in BARS.items()))


def passes(shares: Shares) -> bool:
    """Whether a model may be shipped."""
    return all(_over(shares[name], bar) >= 1 for name, bar in BARS.items())


def _over(share: float | None, bar: float) -> float:
    return (share or 0.0) / bar


def _share(values: Sequence[bool]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None
