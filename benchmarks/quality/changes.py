"""The kinds of edits that are measured, as pairs of scenes: what a picture shows and what it is to show.

A new kind is a function and a row of `KINDS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from p2p.words import words_of
from scenes.judge.pictures import GREY_STYLES, changes
from scenes.render import Layout, Picture, draw
from scenes.world import COLOURS, GROUNDS, STYLES, THINGS, TINTS, Scene, Thing

#: How far the fader is moved: up to twice the word's attention, or to none of it.
UP, DOWN = 2.0, 0.0
#: Styles that leave colours, so that a tint can be seen.
COLOURED = tuple(style for style in STYLES if style not in GREY_STYLES)


@dataclass(frozen=True)
class Change:
    """One edit that is asked for.

    Attributes:
        kind: a key of `KINDS`.
        before, after: what the source shows, and what the edited picture is to show.
        things: names of the things that may change; none if the change is not of a thing.
        word, weight: the word that is turned up or down, and how far; the scenes are then the same.
    """

    kind: str
    before: Scene
    after: Scene
    things: tuple[str, ...] = ()
    word: str | None = None
    weight: float = 1.0

    @property
    def local(self) -> bool:
        """Whether the picture is to change in one place only: where the things are."""
        return bool(self.things)

    @property
    def has_truth(self) -> bool:
        """Whether the source determines the edited picture: not where a new thing goes, nor how strong "more" is."""
        return self.kind not in ("add", "reweight")


def swap_thing(scene: Scene, rng: np.random.Generator) -> Change:
    old = scene.things[0]
    new = str(rng.choice([name for name in THINGS if name not in {thing.name for thing in scene.things}]))
    return Change("thing", scene, replace(scene, things=(replace(old, name=new), *scene.things[1:])), (old.name, new))


def swap_place(scene: Scene, rng: np.random.Generator) -> Change:
    taken = {scene.place, *(thing.tint for thing in scene.things)}
    kind = GROUNDS if rng.random() < 0.6 else COLOURS  # as in the painter's world
    return Change("place", scene, replace(scene, place=str(rng.choice([p for p in kind if p not in taken]))))


def tint(scene: Scene, rng: np.random.Generator) -> Change:
    thing = scene.things[0]
    tints = [t for t in TINTS if changes(thing.name, t) and t not in (scene.place, thing.tint)]
    tinted = Thing(thing.name, str(rng.choice(tints)))
    return Change("tint", scene, replace(scene, things=(tinted, *scene.things[1:])), (thing.name,))


def add(scene: Scene, rng: np.random.Generator) -> Change:
    new = str(rng.choice([name for name in THINGS if name not in {thing.name for thing in scene.things}]))
    return Change("add", scene, replace(scene, things=(*scene.things, Thing(new))), (new,))


def remove_first(scene: Scene, rng: np.random.Generator) -> Change:
    return Change("remove", scene, replace(scene, things=scene.things[1:]), (scene.things[0].name,))


def remove_last(scene: Scene, rng: np.random.Generator) -> Change:
    return Change("remove", scene, replace(scene, things=scene.things[:-1]), (scene.things[-1].name,))


def restyle(scene: Scene, rng: np.random.Generator) -> Change:
    return Change("style", scene, replace(scene, style=str(rng.choice([s for s in STYLES if s != scene.style]))))


def _fade(scene: Scene, weight: float) -> Change:
    """The style's last word, or the first thing's tint where there is no style."""
    if scene.style:
        return Change("reweight", scene, scene, (), scene.style.split()[-1], weight)
    thing = scene.things[0]
    return Change("reweight", scene, scene, (thing.name,), thing.tint, weight)


def turn_up(scene: Scene, rng: np.random.Generator) -> Change:
    return _fade(scene, UP)


def turn_down(scene: Scene, rng: np.random.Generator) -> Change:
    return _fade(scene, DOWN)


#: Per kind, the functions that make changes of it.
KINDS: Mapping[str, tuple[Callable[[Scene, np.random.Generator], Change], ...]] = {
    "thing": (swap_thing,),
    "place": (swap_place,),
    "tint": (tint,),
    "add": (add,),
    "remove": (remove_first, remove_last),
    "style": (restyle,),
    "reweight": (turn_up, turn_down),
}


def as_target(change: Change, *, blended: bool, **settings: dict) -> dict:
    """A change as a spec's target.

    Args:
        blended: whether a local change is kept in its place by the words of its things.
        settings: fields of `p2p.spec.Target` in place of their defaults; of "local_blend" where there is one.
    """
    before, after = change.before.caption(), change.after.caption()
    edits: list[dict] = []
    if before != after:
        same_length = len(words_of(before)) == len(words_of(after))
        edits.append({"kind": "replace" if same_length else "refine"})
    if change.word:
        edits.append({"kind": "reweight", "weights": [{"word": change.word, "weight": change.weight}]})
    blend_settings = settings.pop("local_blend", {})
    target: dict = {"prompt": after, "edits": edits, **settings}
    if blended and change.local:
        words = [[{"word": n} for n in change.things if n in words] for words in (after.split(), before.split())]
        target["local_blend"] = {"words": words[0], "source_words": words[1], **blend_settings}
    return target


def drawn_pair(change: Change, layout: Layout) -> tuple[Picture, Picture]:
    """The source and the true edited picture, in one layout: what the change does not name is the same."""
    after = layout
    if change.after.things == change.before.things[1:]:
        # The first thing is removed: the other one keeps its place.
        after = replace(layout, slots=layout.slots[::-1])
    return draw(change.before, layout), draw(change.after, after)
