"""`"prompt_syntax": "weights"`: a request whose prompts hold weights as the plain request that it means.

The plain request is what is checked, recorded and shown as `spec`: prompts without brackets, and the weights as one
more `reweight` at the end of each target's edits. Sent again it is the same edit. Complaints point at what was sent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from p2p.spec import MAX_COMPLAINTS, MAX_PROMPT_CHARACTERS, AligningKind, any_of
from p2p.words import same_words, written
from prompts.weighted_prompts import UnreadableWeights, WeightedPrompt, weighted

PromptSyntax = Literal["text", "weights"]
#: What `p2p.spec` allows of one `reweight`, and of one target's edits.
_WEIGHTS, _EDITS = 32, 8
#: Characters of a prompt with its brackets. A longer one is left as it is, and is too long by itself.
_CHARACTERS = 4 * MAX_PROMPT_CHARACTERS

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class ReadPrompts:
    """What was read out of a request's prompts.

    Attributes:
        body: the plain request.
        weighted: whether any prompt was read so.
        unused: the prompts whose weights have no use.
        origins: where what was made comes from: a pointer into the plain request, and one into what was sent.
    """

    body: Any = None
    weighted: bool = False
    unused: tuple[Location, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, pointer: str) -> str:
        """A pointer into the plain request as one into what was sent."""
        for made, sent in self.origins.items():
            if pointer == made or pointer.startswith(f"{made}/"):
                return sent
        return pointer


def has_weights(body: Any) -> bool:
    """Whether a body asks for its prompts to be read so."""
    return isinstance(body, dict) and body.get("prompt_syntax") == "weights"


def read(body: Any) -> ReadPrompts:
    """The plain request that a body means; raises pydantic's `ValidationError` with what is wrong with its weights."""
    if not has_weights(body):
        return ReadPrompts(body)
    reader = _Reader()
    plain = dict(body)
    for part, name in (("source", "prompt"), ("sampling", "negative_prompt")):
        if isinstance(given := body.get(part), dict) and (found := reader.prompt((part, name), given.get(name))):
            plain[part] = {**given, name: found.text}
            reader.unused += [(part, name)] if found.weights else []
    targets = body.get("targets")
    if isinstance(targets, list | tuple):
        source = plain.get("source")
        before = source.get("prompt") if isinstance(source, dict) else None
        plain["targets"] = [reader.target(index, target, before) for index, target in enumerate(targets)]
    if reader.errors:
        raise ValidationError.from_exception_data("EditRequest", reader.errors)
    return ReadPrompts(plain, True, tuple(reader.unused), reader.origins)


class _Reader:
    """What is read, and what is wrong with it."""

    def __init__(self) -> None:
        self.errors: list[InitErrorDetails] = []
        self.unused: list[Location] = []
        self.origins: dict[str, str] = {}

    def prompt(self, location: Location, prompt: Any) -> WeightedPrompt | None:
        """A prompt without its brackets; None if it is no text or cannot be read, and is complained of."""
        if not isinstance(prompt, str) or len(prompt) > _CHARACTERS or len(self.errors) >= MAX_COMPLAINTS:
            return None
        try:
            return weighted(prompt)
        except UnreadableWeights as error:
            self.complain(location, error.code, str(error))
            return None

    def target(self, index: int, target: Any, source: Any) -> Any:
        """A target with the weights of its prompt as edits."""
        location = ("targets", index, "prompt")
        if not isinstance(target, dict) or (found := self.prompt(location, target.get("prompt"))) is None:
            return target
        plain, made = {**target, "prompt": found.text}, list(_reweights(found))
        edits = target.get("edits") or ()
        if not made or not isinstance(edits, list | tuple):
            return plain
        differ = isinstance(source, str) and not same_words(written(source), written(found.text))
        if differ and target.get("edits") is None:
            return self.beside_what_is_chosen(index, plain, [each for one in made for each in one["weights"]])
        if not edits and differ:
            kinds = any_of(get_args(AligningKind))
            message = f"the prompts differ and nothing says how they correspond: add the edit {kinds}"
            self.complain(location, "prompts_differ", message)
        if len(edits) + len(made) > _EDITS:
            message = (
                f"{len(found.weights)} weighted words and {len(edits)} edits: a target takes at most {_EDITS} edits of "
                f"{_WEIGHTS} words each: weigh fewer words"
            )
            self.complain(location, "too_many_weights", message)
        for place in range(len(edits), len(edits) + len(made)):
            self.origins[f"/targets/{index}/edits/{place}"] = f"/targets/{index}/prompt"
        return {**plain, "edits": [*edits, *made]}

    def beside_what_is_chosen(self, index: int, plain: Mapping[str, Any], made: list[Any]) -> Any:
        """A target whose change is read from its words, with the weights of its prompt."""
        given = plain.get("weights") or ()
        if not isinstance(given, list | tuple):
            return plain
        if len(given) + len(made) > _WEIGHTS:
            message = (
                f"{len(given) + len(made)} weighted words, and a target without `edits` takes {_WEIGHTS}: weigh fewer"
            )
            self.complain(("targets", index, "prompt"), "too_many_weights", message)
        for place in range(len(given), len(given) + len(made)):
            self.origins[f"/targets/{index}/weights/{place}"] = f"/targets/{index}/prompt"
        return {**plain, "weights": [*given, *made]}

    def complain(self, location: Location, code: str, message: str) -> None:
        """Note what is wrong at a location."""
        self.errors.append(InitErrorDetails(type=PydanticCustomError(code, message), loc=location, input=None))


def _reweights(prompt: WeightedPrompt) -> Iterator[Mapping[str, Any]]:
    weights = [
        {"word": one.word, "weight": one.weight} | ({} if one.occurrence is None else {"occurrence": one.occurrence})
        for one in prompt.weights
    ]
    for first in range(0, len(weights), _WEIGHTS):
        yield {"kind": "reweight", "weights": weights[first : first + _WEIGHTS]}
