"""How the words of edited prompts correspond to those of their source, before anything is run."""

from bisect import bisect_right
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from jobs.catalogue import ModelDefaults
from jobs.chosen import Choice
from p2p.change.choosing import chosen
from p2p.change.reading import ChangeKind, read
from p2p.chunks import LongPrompts
from p2p.errors import WordWithinToken
from p2p.spec import (
    MODEL_FIELD,
    AligningKind,
    ModelName,
    Part,
    Prompt,
    Target,
    WordName,
    WordWeight,
    aligning_edit,
    counted,
)
from p2p.tokens import TokenizedPrompt
from p2p.word_alignment import WordState, align_words, fitting_kind
from p2p.words import forget_prompts, same_words, written
from service.edits.choices import choice_of
from service.edits.resolving import known_model, too_long
from service.edits.windows import windowed
from service.http.errors import InvalidEdit
from service.plane import Plane

#: Names of one request: of each, the answer lists all the words and tokens that it means.
MAX_NAMES = 1_024
#: Words that one request turns up or down: each has its prompt read once more, without the word. As many as an edit of
#: the most targets may have.
MAX_WEIGHTS = 256

Names = Annotated[tuple[WordName, ...], *counted(0, 512)]
_NAMES = Field((), description="Names as edits use them; the answer says which of the prompt's words they mean.")


class AlignedSource(Part):
    """The prompt that is edited."""

    prompt: Prompt
    names: Names = _NAMES


class AlignedTarget(Part):
    """An edited prompt."""

    prompt: Prompt
    kind: AligningKind | None = Field(None, description="The edit that is meant; where absent, the one that fits.")
    weights: Annotated[tuple[WordWeight, ...], *counted(0, 32)] = Field(
        (), description="As an edit without `edits` has them; those of words that the prompt does not hold are ignored."
    )
    names: Names = _NAMES


class AlignmentRequest(Part):
    """Prompts whose words are to be set against each other."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": {"prompt": "a cat on a beach"},
                    "targets": [{"prompt": "a dog on a beach"}, {"prompt": "a cat on a beach at night"}],
                }
            ]
        }
    )

    model: ModelName | None = Field(None, description=MODEL_FIELD)
    source: AlignedSource
    targets: Annotated[tuple[AlignedTarget, ...], *counted(1, 64)]
    long_prompts: LongPrompts = Field("refuse", description="As edits have it.")

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        details = []
        names = len(self.source.names) + sum(len(target.names) for target in self.targets)
        weights = sum(len(target.weights) for target in self.targets)
        for number, most, what in ((names, MAX_NAMES, "names"), (weights, MAX_WEIGHTS, "weights")):
            if number > most:
                message = f"{number} {what} in all, and at most {most} are taken: ask for the rest apart"
                error = PydanticCustomError(f"too_many_{what}", "{message}", {"message": message})
                details.append(InitErrorDetails(type=error, loc=("targets",), input=None))
        for index, target in enumerate(self.targets):
            if target.kind is None:
                continue
            edit = aligning_edit(target.kind)
            for loc, code, message in edit.unmet(written(self.source.prompt), written(target.prompt)):
                error = PydanticCustomError(code, "{message}", {"message": message})
                details.append(InitErrorDetails(type=error, loc=("targets", index, "kind", *loc), input=None))
        if details:
            raise ValidationError.from_exception_data("AlignmentRequest", details)
        return self


class TokenView(BaseModel):
    """A token of a word."""

    position: int = Field(description="Among the prompt's tokens; the start token is 0.")
    text: str = Field(description="The characters of the prompt that it stands for.")


class WordView(BaseModel):
    """A word of a prompt, named as edits, local blends and heat maps name it."""

    word: str
    occurrence: int = Field(description="Which of the word's occurrences, from 1.")
    occurrences: int = Field(
        description="How often the prompt holds this name, inside other words too; if once, the word names it alone."
    )
    start: int = Field(description="Its first character in the prompt, counted in code points.")
    stop: int = Field(description="The character after its last.")
    tokens: tuple[TokenView, ...]


class AlignedWordView(WordView):
    """A word of an edited prompt, and the words of the source that it takes its attention from."""

    state: WordState = Field(
        description='"kept": has the tokens of a word of the source, and takes the attention of each; "changed": '
        'stands in the place of what reads otherwise; "added": has no counterpart.'
    )
    sources: tuple[int, ...] = Field(description="Indices of words of the source.")


class NameView(BaseModel):
    """What a name means in a prompt."""

    word: str
    occurrence: int | None
    words: tuple[int, ...] = Field(description="Indices of the prompt's words that hold it; empty if it is not there.")
    exact: bool = Field(description="Whether it means these words and not only parts of them.")
    tokens: tuple[TokenView, ...]
    problem: str | None = Field(description="Why it cannot be named, if no token begins or ends where it does.")


class PromptView(BaseModel):
    """A prompt in words."""

    prompt: str
    tokens: int = Field(description="Start and end included.")
    words: tuple[WordView, ...]
    names: tuple[NameView, ...] = Field((), description="Of the names that were asked for, in their order.")


class ChangeView(BaseModel):
    """One thing that an edited prompt changes, read from the words alone."""

    kind: ChangeKind = Field(
        description="What an edit without `edits` takes it for. What the words leave in doubt is a style: it concerns "
        "the whole picture."
    )
    source_words: tuple[int, ...] = Field(description="Indices of words of the source that it takes away.")
    words: tuple[int, ...] = Field(description="Indices of words of the edited prompt that it brings.")
    about: tuple[int, ...] = Field(
        description="Indices of words of the edited prompt that it describes: the noun of an attribute, or the owner "
        "of an added thing."
    )


class AlignedPromptView(BaseModel):
    """An edited prompt in words, set against the source's."""

    prompt: str
    tokens: int = Field(description="Start and end included.")
    kind: AligningKind | None = Field(
        description="The edit that sets them so; null if both say the same words by the same tokens."
    )
    words: tuple[AlignedWordView, ...]
    names: tuple[NameView, ...] = Field((), description="Of the names that were asked for, in their order.")
    removed: tuple[int, ...] = Field(description="Indices of words of the source that nothing takes its map from.")
    change: tuple[ChangeView, ...] = Field(description="What the prompt changes; empty if it says the same.")
    chosen: Choice | None = Field(
        description="What an edit of it is run with if the request says nothing but the prompts. Null if both prompts "
        "say the same."
    )


class AlignmentView(BaseModel):
    """How the words of edited prompts correspond to those of their source."""

    model: str
    max_tokens: int = Field(description="Tokens that the model reads of one prompt, start and end included.")
    source: PromptView
    targets: tuple[AlignedPromptView, ...]


def aligned(asked: AlignmentRequest, plane: Plane) -> AlignmentView:
    """The words of prompts set against each other as the sampler will; raises `InvalidEdit`."""
    model = known_model(asked.model, plane.catalogue)
    counter = plane.counters[model.id]
    prompts: list[tuple[tuple[str | int, ...], str]] = [(("source", "prompt"), asked.source.prompt)]
    prompts += [(("targets", index, "prompt"), target.prompt) for index, target in enumerate(asked.targets)]
    if complaints := list(too_long(prompts, model, counter, asked.long_prompts)):
        raise InvalidEdit(complaints)
    limit = counter.most(asked.long_prompts)
    source, *targets = (counter.tokenized(prompt, limit) for _, prompt in prompts)
    return AlignmentView(
        model=model.id,
        max_tokens=counter.limit,
        source=PromptView(
            prompt=source.prompt, tokens=len(source), words=_words(source), names=_names(source, asked.source.names)
        ),
        targets=tuple(
            _target(source, tokens, target, model.defaults)
            for target, tokens in zip(asked.targets, targets, strict=True)
        ),
    )


def answer_to(asked: AlignmentRequest, plane: Plane) -> bytes:
    """`aligned` as JSON."""
    try:
        return aligned(asked, plane).model_dump_json().encode()
    finally:
        forget_prompts()


def _target(
    source: TokenizedPrompt, tokens: TokenizedPrompt, asked: AlignedTarget, defaults: ModelDefaults
) -> AlignedPromptView:
    alignment = align_words(source, tokens, asked.kind or fitting_kind(source, tokens))
    words = tuple(
        AlignedWordView(**vars(word), state=found.state, sources=found.sources)
        for word, found in zip(_words(tokens), alignment.words, strict=True)
    )
    return AlignedPromptView(
        prompt=tokens.prompt,
        tokens=len(tokens),
        kind=alignment.kind,
        words=words,
        names=_names(tokens, asked.names),
        removed=alignment.removed,
        change=_change(source, tokens),
        chosen=_chosen(source, tokens, asked, defaults),
    )


def _change(source: TokenizedPrompt, target: TokenizedPrompt) -> tuple[ChangeView, ...]:
    return tuple(
        ChangeView(
            kind=change.kind,
            source_words=change.gone,
            words=change.new,
            about=tuple(j for _, j in change.about),
        )
        for change in read(source.written, target.written).changes
    )


def _chosen(
    source: TokenizedPrompt, target: TokenizedPrompt, asked: AlignedTarget, defaults: ModelDefaults
) -> Choice | None:
    # A person still types: a word that was weighed may be gone from the prompt.
    weights = tuple(weight for weight in asked.weights if target.written.holds(weight.word, weight.occurrence))
    if not weights and same_words(source.written, target.written):
        return None
    meant = Target(prompt=target.prompt, weights=weights)
    complete = windowed(source.prompt, meant, chosen(source.prompt, meant, defaults.keep), defaults)
    return choice_of(source.prompt, meant, complete)


def _words(tokens: TokenizedPrompt) -> tuple[WordView, ...]:
    return tuple(
        WordView(
            word=named.word,
            occurrence=named.occurrence,
            occurrences=tokens.written.count(named.word),
            start=word.start,
            stop=word.stop,
            tokens=_tokens(tokens, named.tokens),
        )
        for word, named in zip(tokens.written.words, tokens.words(), strict=True)
    )


def _names(tokens: TokenizedPrompt, names: Names) -> tuple[NameView, ...]:
    # Each is looked for once, however often it is asked.
    found = {(name.word, name.occurrence): name for name in names}
    views = {key: _name(tokens, name) for key, name in found.items()}
    return tuple(views[name.word, name.occurrence] for name in names)


def _name(tokens: TokenizedPrompt, name: WordName) -> NameView:
    spans = {span for spans in tokens.written.find(name.word, name.occurrence) for span in spans}
    words = tokens.written.words
    # A span lies in one written word, the last that begins at it or before.
    holding = sorted({bisect_right(words, start, key=lambda word: word.whole[0]) - 1 for start, _ in spans})
    held = {index: (words[index].start, words[index].stop) for index in holding}
    problem: str | None = None
    positions: tuple[int, ...] = ()
    try:
        positions = tokens.named(name.word, name.occurrence)
    except WordWithinToken as error:
        problem = str(error)
    return NameView(
        word=name.word,
        occurrence=name.occurrence,
        words=tuple(held),
        exact=bool(spans) and spans == set(held.values()),
        tokens=_tokens(tokens, positions),
        problem=problem,
    )


def _tokens(tokens: TokenizedPrompt, positions: tuple[int, ...]) -> tuple[TokenView, ...]:
    return tuple(
        TokenView(position=position, text=tokens.prompt[slice(*tokens.spans[position])]) for position in positions
    )
