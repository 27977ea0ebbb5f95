"""Notices beside the acceptance of an edit: what may not be as its sender thinks.

Nothing of it stands in the way of the edit. Every pointer leads into the request as it was sent.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from jobs.catalogue import ModelDeclaration
from jobs.model import Notice
from p2p.spec import EditSpec
from p2p.words import written
from prompts.notices.automatic import of_choices
from prompts.notices.foreign import may_be_foreign, other_syntax, weight_syntax
from prompts.schedulers import Substitution

#: Notices of one edit, and of one batch: an answer stays small, whatever was sent.
MAX_NOTICES = 16
#: How many words or pieces of syntax one notice names, and characters of each.
_NAMED, _CHARACTERS = 8, 40

Location = tuple[str | int, ...]


def notices_of(
    spec: EditSpec,
    model: ModelDeclaration,
    *,
    weighted: bool = False,
    unused: Sequence[Location] = (),
    instead: Substitution | None = None,
    sent: EditSpec | None = None,
) -> tuple[Notice, ...]:
    """What there is to say about an edit that is accepted, the source first; at most `MAX_NOTICES`.

    Args:
        weighted: whether weights were read out of its prompts.
        unused: the prompts whose weights have no use.
        instead: what runs in the place of the model's own scheduler, if nobody has asked for it.
        sent: the spec as it was asked for, in which targets may name no edits.
    """
    found = [] if instead is None or spec.sampling.scheduler is not None else [_of_scheduler(instead)]
    found += [
        Notice(
            code="weights_not_used",
            pointer=_pointer(location),
            detail="the weights of this prompt are left out, for only edited pictures have weights: weigh the words of "
            "a target's prompt",
        )
        for location in unused
    ]
    found += [] if sent is None else of_choices(sent, weighted=weighted)
    known = model.known_with(use.id for use in spec.loras)
    for location, prompt in _prompts(spec):
        if prompt:
            found += _of_prompt(location, prompt, model, known, weighted)
    return bounded(found)


def _of_scheduler(instead: Substitution) -> Notice:
    return Notice(
        code="scheduler_substituted",
        pointer="",
        detail=f"{instead.own}, the model's own scheduler, is not handled, and {instead.by} runs in its place: name "
        "one in `sampling.scheduler` to choose another",
    )


def bounded(notices: Sequence[Notice]) -> tuple[Notice, ...]:
    """The first notices, and how many more there are."""
    if len(notices) <= MAX_NOTICES:
        return tuple(notices)
    left = len(notices) - MAX_NOTICES + 1
    more = Notice(
        code="more_notices", pointer="", detail=f"{left} more notices are left out: send fewer prompts at once"
    )
    return (*notices[: MAX_NOTICES - 1], more)


def _of_prompt(
    location: Location, prompt: str, model: ModelDeclaration, known: frozenset[str] | None, weighted: bool
) -> Iterator[Notice]:
    weights, other, unknown = _looked_at(prompt, known)
    if weights and not weighted:
        detail = f'{weights} is read as text: send "prompt_syntax": "weights" if it weighs words'
        yield Notice(code="weights_read_as_text", pointer=_pointer(location), detail=detail)
    if other:
        detail = f"{other} is another program's syntax and is read as text: leave it out"
        yield Notice(code="syntax_read_as_text", pointer=_pointer(location), detail=detail)
    if unknown:
        said = f"{model.id} was not trained on {_listed(unknown)}"
        detail = f"{said}: say it in words of its `vocabulary` (GET /v1/models){_taught(unknown, model)}"
        yield Notice(code="unknown_word", pointer=_pointer(location), detail=detail)


# Clients send the same prompts again, and a prompt has 2,000 characters at most.
@lru_cache(maxsize=128)
def _looked_at(prompt: str, known: frozenset[str] | None) -> tuple[str, str, Sequence[str]]:
    """The parts of a prompt that look like weights, those like other programs' syntax, and its unknown words."""
    unknown = () if known is None else written(prompt).beyond(known)
    if not may_be_foreign(prompt):
        return "", "", unknown
    return _listed(weight_syntax(prompt)), _listed(other_syntax(prompt)), unknown


def _taught(unknown: Sequence[str], model: ModelDeclaration) -> str:
    """Which of the model's LoRAs has words that it does not know itself."""
    words = {word.casefold() for word in unknown}
    having = [one.id for one in model.lora_choices if words & {word.casefold() for word in one.words}]
    return f", or ask for {_listed(having)} in `loras`" if having else ""


def _listed(found: Sequence[str]) -> str:
    named = ", ".join(each if len(each) <= _CHARACTERS else f"{each[: _CHARACTERS - 1]}…" for each in found[:_NAMED])
    return f"{named} and {len(found) - _NAMED} more" if len(found) > _NAMED else named


def _prompts(spec: EditSpec) -> Iterator[tuple[Location, str]]:
    yield ("source", "prompt"), spec.source.prompt
    yield from ((("targets", index, "prompt"), target.prompt) for index, target in enumerate(spec.targets))
    yield ("sampling", "negative_prompt"), spec.sampling.negative_prompt


def _pointer(location: Location) -> str:
    return "".join(f"/{part}" for part in location)
