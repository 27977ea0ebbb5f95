"""A target that leaves `edits` out, made explicit: every choice is a field that a request may hold itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from p2p.change.fading import weighed
from p2p.change.reading import Reading, read
from p2p.change.strategies import Settings, together, weighed_by
from p2p.spec import (
    Edit,
    EditSpec,
    Keep,
    LocalBlend,
    Refine,
    Reweight,
    Room,
    StepWindow,
    Target,
    WeighedBy,
    WordName,
    WordWeight,
    aligning_edit,
)
from p2p.word_alignment import kind_by_words
from p2p.words import WrittenPrompt, same_words, written

#: Edited pictures, of all seeds, up to which room is looked for: each addition then takes four rows.
MOST_TRIED = 8
#: Names of one blend, and characters of a name, that `p2p.spec` takes.
_NAMES, _CHARACTERS = 32, 200


def explicit(spec: EditSpec, keep: Keep | None = None) -> EditSpec:
    """A spec whose targets say all of their settings; what was said stays. `keep`: where a target says none."""
    if all(target.edits is not None for target in spec.targets):
        return spec
    targets = tuple(chosen(spec.source.prompt, target, keep) for target in spec.targets)
    if len(targets) * len(spec.seeds) > MOST_TRIED:
        targets = tuple(_without_room(given, made) for given, made in zip(spec.targets, targets, strict=True))
    return spec.model_copy(update={"targets": targets})


def _without_room(given: Target, made: Target) -> Target:
    """A target whose room, if it was chosen, is not looked for."""
    return made if given.edits is not None else made.model_copy(update={"room": given.room})


def chosen(source: str, target: Target, keep: Keep | None = None) -> Target:
    """A target with its edits, and with those of its windows and its local blend that it does not say."""
    if target.edits is not None:
        return target
    before, after = written(source), written(target.prompt)
    choice = _choice(before, after, target, target.keep or keep)
    if target.local_blend is not None:
        choice = {name: made for name, made in choice.items() if name != "room"}
    said = target.model_fields_set
    # What `keep` asked for is said by the blend, and weights by edits.
    said_otherwise = {"keep": None, "weights": ()}
    return target.model_copy(update={name: made for name, made in choice.items() if name not in said} | said_otherwise)


def changes_of(before: WrittenPrompt, after: WrittenPrompt, target: Target) -> Reading:
    """What a target's words ask for, and its weights."""
    reading, turned = read(before, after), weighed(before, after, target.weights)
    # With weights alone there is something to be done even where prompts have nothing in common.
    return replace(reading, changes=(*reading.changes, *turned), related=reading.related or bool(turned))


def has_windows_of_model(source: str, target: Target) -> bool:
    """Whether a model's own windows take the place of those that are chosen for a target."""
    reading = changes_of(written(source), written(target.prompt), target)
    return reading.related and together(reading.changes).of_model


def _choice(before: WrittenPrompt, after: WrittenPrompt, target: Target, keep: Keep | None) -> Mapping[str, Any]:
    """Fields of a target."""
    reading = changes_of(before, after, target)
    if not reading.related:
        return {"edits": (), "cross_window": StepWindow(stop=0), "self_window": StepWindow(stop=0)}
    settings = together(reading.changes)
    aligning = () if same_words(before, after) else (_aligning(before, after, settings),)
    return {
        "edits": (*aligning, *_reweights(target.weights)),
        "cross_window": StepWindow(stop=settings.cross),
        "self_window": StepWindow(stop=settings.own),
        "local_blend": _blend(before, after, settings) or (_things_kept(before, settings) if keep else None),
        "room": _room(before, after, settings),
    }


def _reweights(weights: Sequence[WordWeight]) -> Iterator[Edit]:
    """The edits that weigh words, one for each way of it."""
    ways: dict[WeighedBy, list[WordWeight]] = {}
    for name in weights:
        for by, weight in weighed_by(name.weight).items():
            ways.setdefault(by, []).append(name.model_copy(update={"weight": weight}))
    for by, weighed_so in ways.items():
        yield Reweight(weights=tuple(weighed_so), by=by)


def _aligning(before: WrittenPrompt, after: WrittenPrompt, settings: Settings) -> Edit:
    """The edit that says how the prompts correspond."""
    if settings.filled_by is None or len(settings.filled_by) > _NAMES:
        return aligning_edit(kind_by_words(before, after))
    filled_by = names_of(after, settings.filled_by)
    if not all(map(_is_sayable, filled_by)):
        return aligning_edit(kind_by_words(before, after))
    return Refine(filled_by=filled_by)


def _is_sayable(name: WordName) -> bool:
    return len(name.word) <= _CHARACTERS


def _blend(before: WrittenPrompt, after: WrittenPrompt, settings: Settings) -> LocalBlend | None:
    """Where the picture may change; None for everywhere, and where the words are too many to be named."""
    # Asked first: names of a long prompt's words take as long as reading it several times.
    if settings.whole or max(len(settings.source_words), len(settings.words)) > _NAMES:
        return None
    of_source, of_target = names_of(before, settings.source_words), names_of(after, settings.words)
    names = (*of_source, *of_target)
    if not names or not all(map(_is_sayable, names)):
        return None
    return LocalBlend(words=of_target, source_words=of_source, start=settings.start)


def _room(before: WrittenPrompt, after: WrittenPrompt, settings: Settings) -> Room | None:
    """Room for what is added; None if nothing is, or where the words are too many to be named."""
    if not settings.room or max(len(settings.room), len(settings.beside)) > _NAMES:
        return None
    words, beside = names_of(after, settings.room), names_of(before, settings.beside)
    return Room(words=words, beside=beside) if all(map(_is_sayable, (*words, *beside))) else None


def _things_kept(before: WrittenPrompt, settings: Settings) -> LocalBlend | None:
    """Everything may change but the things, in the pixels alone: kept in latents too, they draw the old place along."""
    if not 0 < len(settings.things) <= _NAMES:
        return None
    names = names_of(before, settings.things)
    if not all(map(_is_sayable, names)):
        return None
    return LocalBlend(source_subtract_words=names, start=1.0)


def names_of(prompt: WrittenPrompt, indices: tuple[int, ...]) -> tuple[WordName, ...]:
    """Words of a prompt by their names; by their occurrence only if the prompt repeats them."""
    names = []
    for index in indices:
        word = prompt.words[index]
        found = [spans[0] for spans in prompt.find(word.text)]
        occurrence = found.index((word.start, word.stop)) + 1 if len(found) > 1 else None
        names.append(WordName.model_construct(word=word.text, occurrence=occurrence))
    return tuple(names)
