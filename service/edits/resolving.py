"""A spec against its model: what is absent filled in, and every reason why the model cannot do it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from operator import itemgetter

from jobs.catalogue import ModelDeclaration
from p2p.change.beside import rows_beside
from p2p.change.choosing import explicit
from p2p.chunks import LongPrompts
from p2p.errors import WordWithinToken
from p2p.seeds import DrawSeed, draw_seed, drawn_fields
from p2p.spec import MAX_COMPLAINTS, Direct, EditSpec, unmet_by
from p2p.spec.inversions import cut_off_by
from p2p.tokens import TokenizedPrompt
from p2p.words import written
from prompts.counting import TokenCounter
from prompts.states import state_of
from service.edits.windows import with_windows
from service.http.complaints import Complaint
from service.http.errors import InvalidEdit

#: What a message says of prompts that would fit so.
_IN_CHUNKS = 'say "long_prompts": "chunks"'
_OF_SPEC = tuple(EditSpec.model_fields)
_of_spec = itemgetter(*_OF_SPEC)


def resolved(
    spec: EditSpec,
    catalogue: Mapping[str, ModelDeclaration],
    counters: Mapping[str, TokenCounter],
    draw: DrawSeed = draw_seed,
    cutting: Mapping[str, str] | None = None,
) -> EditSpec:
    """The spec with its model, that model's defaults, a seed, and what is chosen for targets that name no edits.

    A job's record is complete.

    Args:
        cutting: by model, the setting of its scheduler that cuts values off, where one does.
    Raises:
        InvalidEdit: with every reason why the model cannot do it.
    """
    model = known_model(spec.model, catalogue)
    asked, (height, width) = spec.sampling, model.sizes[0]
    # An inversion goes a scheduler's steps backwards, whatever the model's own one is. Tokens need none.
    inverts = spec.source.image is not None and state_of(model) == "latents"
    scheduler = asked.scheduler or ((spec.inversion or Direct()).scheduler if inverts else None)
    sampling = asked.model_copy(
        update={
            "scheduler": scheduler,
            "steps": model.defaults.steps if asked.steps is None else asked.steps,
            "guidance_scale": model.defaults.guidance_scale if asked.guidance_scale is None else asked.guidance_scale,
            "height": height if asked.height is None else asked.height,
            "width": width if asked.width is None else asked.width,
            **drawn_fields(asked, draw),
        }
    )
    # Nothing but a spec: a body has more, and a record takes no more.
    said = {**vars(spec), "model": model.id, "sampling": sampling}
    whole = EditSpec.model_construct(**dict(zip(_OF_SPEC, _of_spec(said), strict=True)))
    complete = with_windows(whole, explicit(whole, model.defaults.keep), model.defaults)
    beyond = chain(_cut_off(complete, (cutting or {}).get(model.id)), _beyond(complete, model, counters[model.id]))
    if complaints := list(islice(beyond, MAX_COMPLAINTS)):
        raise InvalidEdit(complaints)
    return complete


def known_model(name: str | None, catalogue: Mapping[str, ModelDeclaration]) -> ModelDeclaration:
    """The model of that name, or the models file's first if none is named; raises `InvalidEdit` if it is unknown."""
    if name is None and catalogue:
        return next(iter(catalogue.values()))
    if name is None or name not in catalogue:
        # A token may allow models that are not here.
        mend = f"choose one of {', '.join(catalogue)}" if catalogue else "your token allows none of those that are"
        detail = f"there is no model {name!r} here for you: {mend}" if name else f"no model is here for you: {mend}"
        raise InvalidEdit([Complaint.at("model", code="unknown_model", detail=detail)])
    return catalogue[name]


def too_long(
    prompts: Iterable[tuple[Sequence[str | int], str]],
    model: ModelDeclaration,
    counter: TokenCounter,
    long_prompts: LongPrompts = "refuse",
) -> Iterator[Complaint]:
    """The prompts, each with its location, that a model does not read to their end."""
    limit = counter.most(long_prompts)
    for location, prompt in prompts:
        if counter.may_exceed(prompt, limit) and (tokens := counter.count(prompt)) > limit:
            mend = "shorten it" if tokens > counter.most("chunks") else f"shorten it, or {_IN_CHUNKS}"
            detail = f"{tokens} tokens with start and end, and {model.id} reads {limit}: {mend}"
            yield Complaint.at(*location, code="prompt_too_long", detail=detail)


def _beyond(spec: EditSpec, model: ModelDeclaration, counter: TokenCounter) -> Iterator[Complaint]:
    """What a complete spec asks for beyond the model's limits."""
    sampling, limits = spec.sampling, model.limits
    for loc, code, message in unmet_by(state_of(model), spec):
        yield Complaint.at(*loc, code=code, detail=message)
    if (steps := sampling.steps or 0) > limits.max_steps:
        detail = f"{steps} steps, and {model.id} takes at most {limits.max_steps}: ask for fewer"
        yield Complaint.at("sampling", "steps", code="too_many_steps", detail=detail)
    targets, seeds = len(spec.targets), len(spec.seeds)
    if targets > limits.max_targets:
        detail = f"{targets} targets, and {model.id} takes at most {limits.max_targets}: send the rest apart"
        yield Complaint.at("targets", code="too_many_targets", detail=detail)
    elif not targets and seeds > limits.max_targets:
        detail = f"{seeds} seeds, and {model.id} makes at most {limits.max_targets} pictures at once: send some apart"
        yield Complaint.at("sampling", "seeds", code="too_many_seeds", detail=detail)
    elif targets * seeds > limits.max_targets:
        detail = (
            f"{targets} targets of {seeds} seeds are {targets * seeds} edited pictures, and {model.id} makes at most "
            f"{limits.max_targets} at once: send some of the seeds apart"
        )
        yield Complaint.at("sampling", "seeds", code="too_many_seeds", detail=detail)
    elif (beside := len(rows_beside(spec))) and (targets + beside) * seeds > limits.max_targets:
        of_seeds = f" of {seeds} seeds" if seeds > 1 else ""
        detail = (
            f"{targets} targets and {beside} words to fade{of_seeds} are {(targets + beside) * seeds} rows, for a word "
            f"that is faded takes one more, and {model.id} takes at most {limits.max_targets}: fade fewer words at once"
        )
        yield Complaint.at("targets", code="too_many_faded", detail=detail)
    if (sampling.height, sampling.width) not in model.sizes:
        offered = ", ".join(f"{height}x{width}" for height, width in model.sizes)
        detail = f"{sampling.height}x{sampling.width} (height x width) is not offered by {model.id}: choose {offered}"
        field = "height" if all(height != sampling.height for height, _ in model.sizes) else "width"
        yield Complaint.at("sampling", field, code="size_not_offered", detail=detail)
    if spec.loras:
        yield from _of_loras(spec, model)
    long = list(too_long(_prompts(spec), model, counter, spec.long_prompts))
    yield from long
    if not long:
        yield from _within_tokens(spec, model, counter)


def _cut_off(spec: EditSpec, setting: str | None) -> Iterator[Complaint]:
    """An inversion that samples a photo again, by a scheduler that cuts off what it would have to find."""
    if setting is not None and spec.source.image is not None and (spec.inversion or Direct()).resamples:
        yield Complaint.at("inversion", "method", code="unsupported_inversion", detail=cut_off_by(setting))


def _of_loras(spec: EditSpec, model: ModelDeclaration) -> Iterator[Complaint]:
    """The LoRAs that the model does not offer, or not so strong."""
    offered = {choice.id: choice for choice in model.lora_choices}
    for index, use in enumerate(spec.loras):
        choice = offered.get(use.id)
        if choice is None:
            known = f"choose one of {', '.join(offered)}" if offered else "leave `loras` out"
            detail = f"{model.id} has no LoRA {use.id}: {known}"
            yield Complaint.at("loras", index, "id", code="unknown_lora", detail=detail)
        elif abs(use.weight) > choice.max_weight:
            most = choice.max_weight
            detail = f"{use.weight:g}, and {model.id} takes {use.id} from {-most:g} to {most:g}: send a weight within"
            yield Complaint.at("loras", index, "weight", code="out_of_range", detail=detail)


def _within_tokens(spec: EditSpec, model: ModelDeclaration, counter: TokenCounter) -> Iterator[Complaint]:
    """The names that begin or end inside a token, whose words have no attention of their own."""
    prompts: dict[str, TokenizedPrompt] = {}
    for location, name, prompt in spec.names():
        if written(prompt).stands_apart(name.word, name.occurrence):
            continue
        if prompt not in prompts:
            prompts[prompt] = counter.tokenized(prompt, counter.most(spec.long_prompts))
        try:
            prompts[prompt].named(name.word, name.occurrence)
        except WordWithinToken as error:
            yield Complaint.at(*location, "word", code=error.code, detail=str(error))


def _prompts(spec: EditSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    yield ("source", "prompt"), spec.source.prompt
    yield from ((("targets", index, "prompt"), target.prompt) for index, target in enumerate(spec.targets))
    yield ("sampling", "negative_prompt"), spec.sampling.negative_prompt
