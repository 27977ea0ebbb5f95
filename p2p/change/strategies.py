"""What each kind of change is run with: a table of functions. docs/automatic.md says where the numbers come from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from p2p.change.reading import Change, ChangeKind
from p2p.spec import LocalBlend, WeighedBy


@dataclass(frozen=True)
class Settings:
    """How a change is run.

    Attributes:
        cross, own: shares of the run in which the source's cross-attention and self-attention are carried over.
        source_words, words: indices of words of the source and of the target in whose region the picture may change.
        whole: whether the picture may change everywhere, whatever words are named.
        follows: whether other changes of the prompt alone decide if the picture may change everywhere.
        things: indices of words of the source whose things may be kept to the pixel, if that is wanted.
        beside: indices of words of the source that name what stands there already.
        start: the share of the run from which latents are kept outside that region; 1 keeps pixels alone.
        room: indices of words of the target that name a new thing, for which room is sought beside these.
        filled_by: indices of words of the target that take the attention of words that go; None if none does.
        of_model: whether a model's own windows, where it has any, take the place of these.
    """

    cross: float
    own: float
    source_words: tuple[int, ...] = ()
    words: tuple[int, ...] = ()
    whole: bool = False
    follows: bool = False
    things: tuple[int, ...] = ()
    beside: tuple[int, ...] = ()
    start: float = LocalBlend.model_fields["start"].default
    room: tuple[int, ...] = ()
    filled_by: tuple[int, ...] | None = None
    of_model: bool = False


def in_place(change: Change) -> Settings:
    """Another attribute of a thing: it changes where either picture has the thing."""
    gone = (*change.gone, *(i for i, _ in change.about))
    new = (*change.new, *(j for _, j in change.about))
    return Settings(0.4, 0.4, gone, new, of_model=True)


def swap(change: Change) -> Settings:
    """A thing for another: it changes where either picture has it.

    Its maps are kept for less long than an attribute's: else it takes the old thing's shape, and a car's two wheels
    become two sunflowers.
    """
    return replace(in_place(change), cross=0.3)


def removal(change: Change) -> Settings:
    """A thing that goes: it changes where the source has it.

    What both prompts share takes the source's maps to the end, and the setting takes those of the thing, so that
    nothing else can fill the place with one more of itself: "a cat" for "a cat and a dog" is else two cats. The pixels
    of the place are painted freely. Noise of its own there makes it no better (docs/automatic.md).
    """
    return Settings(1.0, 0.0, change.gone, filled_by=change.setting)


def everywhere(change: Change) -> Settings:
    """A place or a style: the layout is kept for a while, and nothing else by itself."""
    return Settings(0.4, 0.4, whole=True, things=change.things, of_model=True)


def addition(change: Change) -> Settings:
    """A thing more. What belongs to another thing stays with it; room for anything else has to be made."""
    if change.about:
        return Settings(0.4, 0.2, whole=True)
    # Any window of the source's attention leaves a new thing no room (docs/automatic.md).
    return Settings(0.0, 0.0, whole=True, beside=change.things, room=change.new if change.things else ())


def fading(change: Change) -> Settings:
    """Words turned up or down: `p2p.spec.Target` has the windows of a fader.

    An adjective shows at its noun. A thing that is taken back is kept to its place in the latents too, as `removal`
    does; all else is pasted alone.
    """
    if not change.in_place:
        return Settings(0.8, 0.4, whole=True, follows=True)
    gone = (*change.gone, *(i for i, _ in change.about))
    new = (*change.new, *(j for _, j in change.about))
    return Settings(0.8, 0.4, gone, new, follows=True, start=1.0 if change.about else Settings.start)


#: Guidance beyond this washes pictures out, and things go.
_MOST_GUIDANCE = 1.5
#: The weight up to which guidance alone turns a word up.
_BY_GUIDANCE = 2.0


def weighed_by(weight: float) -> Mapping[WeighedBy, float]:
    """How a word is turned up or down, and how far each way goes.

    The prompt without the word says what it stands for: its own attention is not all that a prompt knows of a word.
    Upwards guidance goes half of the way, as far as pictures bear it. Attention multiplies what a weight is beyond
    that. docs/automatic.md has what was tried.
    """
    if weight < 1:
        return {"guidance": weight}
    ways: dict[WeighedBy, float] = {"guidance": min((1 + weight) / 2, _MOST_GUIDANCE)}
    return ways | ({"attention": weight / _BY_GUIDANCE} if weight > _BY_GUIDANCE else {})


STRATEGIES: Mapping[ChangeKind, Callable[[Change], Settings]] = {
    "thing": swap,
    "attribute": in_place,
    "place": everywhere,
    "style": everywhere,
    "add": addition,
    "remove": removal,
    "weights": fading,
}


def together(changes: Iterable[Change]) -> Settings:
    """One prompt's changes as one run: the shortest windows, and the region of all; no region if one needs none.

    A word that is turned up beside a thing that is swapped is so in the thing's region.
    """
    each = [STRATEGIES[change.kind](change) for change in changes]
    if not each:
        return Settings(0.4, 0.4, whole=True, of_model=True)
    first = [one for one in each if not one.follows] or each
    return Settings(
        cross=min(one.cross for one in each),
        own=min(one.own for one in each),
        source_words=tuple(sorted({word for one in each for word in one.source_words})),
        words=tuple(sorted({word for one in each for word in one.words})),
        whole=any(one.whole for one in first),
        start=min(one.start for one in each),
        # A style, or a thing that is swapped beside the place, changes what stands there.
        things=first[0].things if all(one.things for one in first) else (),
        # Room for one thing: another change may take it.
        beside=first[0].beside if len(first) == 1 else (),
        room=first[0].room if len(first) == 1 else (),
        # Words that others stand for have no place that the setting could fill.
        filled_by=first[0].filled_by if len({one.filled_by for one in first}) == 1 else None,
        of_model=all(one.of_model for one in first),
    )
