"""How the words of edited prompts correspond to those of their source, told before anything is run."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from p2p.spec import Part, Prompt, counted
from p2p.tokens import TokenizedPrompt
from p2p.word_alignment import AligningKind, WordAlignment, WordState, align_words, fitting_kind
from p2p.words import count_words, words_of
from service.errors import InvalidEdit
from service.plane import Plane
from service.resolving import known_model, too_long


class AlignedSource(Part):
    """The prompt that is edited."""

    prompt: Prompt


class AlignedTarget(Part):
    """An edited prompt."""

    prompt: Prompt
    kind: AligningKind | None = Field(None, description="The edit that is meant; where absent, the one that fits.")


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

    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "scenes"
    source: AlignedSource
    targets: Annotated[tuple[AlignedTarget, ...], *counted(1, 64)]

    @model_validator(mode="after")
    def _as_many_words(self) -> Self:
        before = count_words(self.source.prompt)
        details = []
        for index, target in enumerate(self.targets):
            if target.kind == "replace" and (after := count_words(target.prompt)) != before:
                message = f'the prompts have {before} and {after} words, and "replace" needs as many: use "refine"'
                error = PydanticCustomError("word_counts_differ", "{message}", {"message": message})
                details.append(InitErrorDetails(type=error, loc=("targets", index, "kind"), input=None))
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
    start: int = Field(description="Its first character in the prompt, counted in code points.")
    stop: int = Field(description="The character after its last.")
    tokens: tuple[TokenView, ...]


class AlignedWordView(WordView):
    """A word of an edited prompt, and what of the source it takes its attention from."""

    state: WordState = Field(
        description='"kept": reads as in the source; "changed": stands in the place of what reads otherwise; '
        '"added": has no counterpart.'
    )
    sources: tuple[int, ...] = Field(description="Indices of words of the source.")


class PromptView(BaseModel):
    """A prompt in words."""

    prompt: str
    tokens: int = Field(description="Start and end included.")
    words: tuple[WordView, ...]


class AlignedPromptView(BaseModel):
    """An edited prompt in words, set against the source's."""

    prompt: str
    tokens: int = Field(description="Start and end included.")
    kind: AligningKind | None = Field(description="The edit that sets them so; null where no words differ.")
    words: tuple[AlignedWordView, ...]
    removed: tuple[int, ...] = Field(description="Indices of words of the source that nothing takes up.")


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
    if complaints := list(too_long(prompts, model, counter)):
        raise InvalidEdit(complaints)
    source, *targets = (counter.tokenized(prompt, counter.limit) for _, prompt in prompts)
    return AlignmentView(
        model=model.id,
        max_tokens=counter.limit,
        source=PromptView(prompt=source.prompt, tokens=len(source), words=_words(source)),
        targets=tuple(
            _target(tokens, align_words(source, tokens, target.kind or fitting_kind(source.prompt, tokens.prompt)))
            for target, tokens in zip(asked.targets, targets, strict=True)
        ),
    )


def _target(tokens: TokenizedPrompt, alignment: WordAlignment) -> AlignedPromptView:
    words = tuple(
        AlignedWordView(**vars(word), state=found.state, sources=found.sources)
        for word, found in zip(_words(tokens), alignment.words, strict=True)
    )
    return AlignedPromptView(
        prompt=tokens.prompt, tokens=len(tokens), kind=alignment.kind, words=words, removed=alignment.removed
    )


def _words(tokens: TokenizedPrompt) -> tuple[WordView, ...]:
    return tuple(
        WordView(
            word=named.word,
            occurrence=named.occurrence,
            start=word.start,
            stop=word.stop,
            tokens=tuple(
                TokenView(position=position, text=tokens.prompt[slice(*tokens.spans[position])])
                for position in named.tokens
            ),
        )
        for word, named in zip(words_of(tokens.prompt), tokens.words(), strict=True)
    )
