"""How the run of a picture is found that was not generated: the methods, and what each needs of the sampling.

A new one is a class here, its place in `Inversion`, and a row of `p2p.inversion.INVERSIONS`.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails

from p2p.part import Part
from p2p.spec.complaints import Complaint, invalid
from p2p.spec.sampling import Sampling, SchedulerName


def _of_tokens(why: str) -> dict[str, str]:
    return {"tokens": f'this model draws tokens: {why}. Ask for "edit_friendly" or "direct"'}


def _of_flows(why: str) -> dict[str, str]:
    return {"flows": f'this model follows a flow: {why}. Ask for "direct", "straight" or "edit_friendly"'}


class _Method(Part):
    """How a picture's run is found, without which it cannot be edited (docs/inversion.md).

    Attributes:
        method: its name.
        scheduler: the one whose steps it can go backwards. Any model of latents can run it, whatever its own is.
        refused: why it is not made for models of a kind of state (`p2p.spec.states.State`); of others it is.
        resamples: whether edits sample the source again, by steps that must then be the inverse of those back.
    """

    scheduler: ClassVar[SchedulerName] = "ddim"
    refused: ClassVar[Mapping[str, str]] = {}
    resamples: ClassVar[bool] = False
    method: str

    @property
    def settings(self) -> dict[str, float]:
        """The method's own, where they are said."""
        return {name: value for name, value in self if name != "method" and value is not None}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = handler(schema)
        # Without its name a body would fit every method, and the schema takes one that fits exactly one.
        handler.resolve_ref_schema(made)["required"] = ["method"]
        return made

    def unmet(self, sampling: Sampling) -> Iterator[Complaint]:
        """The fields of the sampling that it cannot work with."""
        if sampling.scheduler not in (None, self.scheduler):
            message = f'{sampling.scheduler} has no way back from a picture to its noise: ask for "{self.scheduler}"'
            yield ("scheduler",), "unsupported_inversion", message


#: Settings of a scheduler that cut values off.
CUTTING_OFF = ("clip_sample", "thresholding")


def cut_off_by(setting: str) -> str:
    """Why a method that samples the source again cannot, with a scheduler that has this setting."""
    return (
        f"the scheduler's {setting} loses what it cuts off, so sampling again does not lead to the picture: "
        "ask for the inversion direct or edit_friendly, or set it to false"
    )


class Direct(_Method):
    """The picture's own noise at each step, so that it comes back as it was (docs/inversion.md)."""

    # `benchmarks.inversion`: it gives back what the picture was and edits well at any guidance scale, by one inversion
    # for all of them (docs/inversion.md).
    method: Literal["direct"] = "direct"

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        if handler.mode != "validation":
            return super().__get_pydantic_json_schema__(schema, handler)
        made = handler(schema)
        # The default: a body without a method, or with null, is of this one.
        fields = handler.resolve_ref_schema(made)["properties"]
        fields["method"] = {"anyOf": [fields["method"], {"type": "null"}]}
        return made


class Ddim(_Method):
    """The sampler's steps taken backwards, and nothing else (docs/inversion.md)."""

    refused = _of_tokens("ddim goes a scheduler's steps backwards, and a drawn token has no way back") | _of_flows(
        "ddim samples the source again, and misses the picture"
    )
    resamples = True
    method: Literal["ddim"] = "ddim"


class NullText(_Method):
    """An unconditional embedding for each step, found by gradient descent (docs/inversion.md)."""

    refused = _of_tokens(
        "null_text corrects a way back of latents by gradients, and drawn tokens have none"
    ) | _of_flows("null_text corrects what guidance pushes away from, which most such models do not have")
    resamples = True
    method: Literal["null_text"] = "null_text"
    inner_steps: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="Iterations for each step at most; 10 where absent."
    )
    tolerance: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="The error at which a step is good enough; 1e-5 where absent."
    )

    def unmet(self, sampling: Sampling) -> Iterator[Complaint]:
        """Guidance, without which the unconditional embedding does not act."""
        yield from super().unmet(sampling)
        if sampling.guidance_scale is not None and sampling.guidance_scale <= 1:
            message = f"null_text needs guidance, and its scale is {sampling.guidance_scale:g}: ask for more than 1"
            yield ("guidance_scale",), "unsupported_inversion", message


class NegativePrompt(_Method):
    """The source's prompt in the negative prompt's place (docs/inversion.md)."""

    refused = _of_tokens("negative_prompt corrects a way back of latents, and a drawn token has none") | _of_flows(
        "negative_prompt takes a negative prompt's place, which most such models do not have"
    )
    resamples = True
    method: Literal["negative_prompt"] = "negative_prompt"

    def unmet(self, sampling: Sampling) -> Iterator[Complaint]:
        """No negative prompt, for its place is taken."""
        yield from super().unmet(sampling)
        if sampling.negative_prompt:
            message = "negative_prompt inversion takes the negative prompt's place: leave it out, or invert otherwise"
            yield ("negative_prompt",), "unsupported_inversion", message


class EditFriendly(_Method):
    """Independent noise for each step (docs/inversion.md)."""

    method: Literal["edit_friendly"] = "edit_friendly"


class Straight(_Method):
    """The straight line from noise to the picture, of models that follow a flow (docs/inversion.md)."""

    refused = _of_tokens("straight is a flow's line, and drawn tokens follow none") | {
        "latents": 'this model follows no flow, and straight is a flow\'s line: ask for "direct"'
    }
    method: Literal["straight"] = "straight"
    offset: bool | None = Field(
        None, description="Whether edits are given what the source's steps miss the line by; true where absent."
    )


_Any = Direct | Ddim | NullText | NegativePrompt | EditFriendly | Straight
#: Every method by its name, as in the tables of `p2p.inversion.OF_STATE`.
METHODS: Mapping[str, type[_Any]] = {kind.model_fields["method"].default: kind for kind in get_args(_Any)}
#: Their names.
InversionMethod = Literal["direct", "ddim", "null_text", "negative_prompt", "edit_friendly", "straight"]


def _of_one_method(given: Any) -> Any:
    """A body with its method, which is "direct" where none is said, and without settings that are null.

    Raises:
        ValidationError: there is no such method, or a setting is another method's.
    """
    if not isinstance(given, dict):
        return given
    said = {name: value for name, value in given.items() if value is not None}
    method = said.setdefault("method", Direct.model_fields["method"].default)
    if not isinstance(method, str) or method not in METHODS:
        *most, last = (repr(name) for name in METHODS)
        unknown = InitErrorDetails(
            type="literal_error", loc=("method",), input=method, ctx={"expected": f"{', '.join(most)} or {last}"}
        )
        raise ValidationError.from_exception_data("Inversion", [unknown])
    others = {name: other for other, kind in METHODS.items() for name in kind.model_fields if name in said}
    foreign: list[Complaint] = [
        ((name,), "setting_of_another_inversion", f"{method} has no such setting: leave it out, or ask for {owner}")
        for name, owner in others.items()
        if name not in METHODS[method].model_fields
    ]
    if foreign:
        raise invalid(foreign)
    return said


Inversion = Annotated[_Any, Field(discriminator="method"), BeforeValidator(_of_one_method)]
