"""A target that leaves `edits` out, made explicit: every choice is a field that a request may hold itself."""

from collections.abc import Mapping
from typing import Any

from p2p.change.reading import Reading, read
from p2p.change.strategies import Settings, together
from p2p.spec import EditSpec, LocalBlend, StepWindow, Target, WordName, aligning_edit
from p2p.word_alignment import kind_by_words
from p2p.words import WrittenPrompt, written

#: Names of one blend, and characters of a name, that `p2p.spec` takes.
_NAMES, _CHARACTERS = 32, 200


def explicit(spec: EditSpec) -> EditSpec:
    """A spec whose targets say all of their settings; what was said stays."""
    if all(target.edits is not None for target in spec.targets):
        return spec
    targets = tuple(chosen(spec.source.prompt, target) for target in spec.targets)
    return spec.model_copy(update={"targets": targets})


def chosen(source: str, target: Target) -> Target:
    """A target with its edits, and with those of its windows and its local blend that it does not say."""
    if target.edits is not None:
        return target
    before, after = written(source), written(target.prompt)
    choice = _choice(before, after, read(before, after))
    said = target.model_fields_set
    return target.model_copy(update={name: value for name, value in choice.items() if name not in said})


def _choice(before: WrittenPrompt, after: WrittenPrompt, reading: Reading) -> Mapping[str, Any]:
    """Fields of a target."""
    if not reading.related:
        return {"edits": (), "cross_window": StepWindow(stop=0), "self_window": StepWindow(stop=0)}
    settings = together(reading.changes)
    return {
        "edits": (aligning_edit(kind_by_words(before, after)),),
        "cross_window": StepWindow(stop=settings.cross),
        "self_window": StepWindow(stop=settings.own),
        "local_blend": _blend(before, after, settings),
    }


def _blend(before: WrittenPrompt, after: WrittenPrompt, settings: Settings) -> LocalBlend | None:
    """Where the picture may change; None for everywhere, and where the words are too many to be named."""
    names = [*(names_of(before, settings.source_words)), *(names_of(after, settings.words))]
    if settings.whole or not names or any(len(name.word) > _CHARACTERS for name in names):
        return None
    of_source, of_target = names_of(before, settings.source_words), names_of(after, settings.words)
    if max(len(of_source), len(of_target)) > _NAMES:
        return None
    return LocalBlend(words=of_target, source_words=of_source)


def names_of(prompt: WrittenPrompt, indices: tuple[int, ...]) -> tuple[WordName, ...]:
    """Words of a prompt by their names; by their occurrence only if the prompt repeats them."""
    names = []
    for index in indices:
        word = prompt.words[index]
        found = [spans[0] for spans in prompt.find(word.text)]
        occurrence = found.index((word.start, word.stop)) + 1 if len(found) > 1 else None
        names.append(WordName.model_construct(word=word.text, occurrence=occurrence))
    return tuple(names)
