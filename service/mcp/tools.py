"""The tools: what each takes, which scope it needs, what it does. A new one is a row of `TOOLS`.

Each does what a route does, by the same use cases. What they take is short, for an agent reads all of it before it asks
anything: who wants more gives the fields of `POST /v1/edits` in `options`.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Self, cast

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel, Field, PrivateAttr, model_validator

from jobs.errors import TooManyStreams
from p2p.spec import MODEL_FIELD, ModelName, Part, Prompt, counted
from p2p.spec.complaints import invalid
from service.alignments.aligning import AlignmentRequest, answer_to
from service.edits import submit
from service.edits.requests import EditRequest
from service.http.body_models import BodyModel
from service.http.headers import name_of
from service.http.scopes import READ, WRITE
from service.http.their_words import in_their_words
from service.mcp.asking import Asking
from service.mcp.following import Pictures, reached, told, waited_for

#: Seconds; a route waits as long (`service.edits.following`).
_Wait = Annotated[int, Field(ge=0, le=60)]
_Pictures = Annotated[
    Pictures, Field(description='"content" to see the pictures in the answer, as far as they fit; "links".')
]
_EDIT_ID = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="As edit_image gave it.")

_EDITS, _ALIGNMENTS = BodyModel(EditRequest), BodyModel(AlignmentRequest)


class AlignPrompts(Part):
    """Prompts to be set against each other."""

    source_prompt: Prompt = Field(description="What the unedited picture shows.")
    prompts: Annotated[tuple[Prompt, ...], *counted(1, 64)] = Field(description="What each edited picture shows.")
    model: ModelName | None = Field(None, description=MODEL_FIELD)


class EditImage(Part):
    """An edit as an agent asks for it."""

    source_prompt: Prompt = Field(
        description="What the unedited picture shows, or for a photo, what is on it. All prompts share its words."
    )
    prompts: Annotated[tuple[Prompt, ...], *counted(1, 8)] = Field(
        description="What each edited picture shows: the source's prompt with words changed, added or removed."
    )
    image: str | None = Field(
        None, description="The id that POST /v1/images gave of a photo to edit; a picture is generated if absent."
    )
    model: ModelName | None = Field(None, description=MODEL_FIELD)
    seed: int | None = Field(None, description="The same seed and prompts make the same pictures; drawn if absent.")
    options: dict[str, Any] = Field(
        {},
        description='Further fields of the body of POST /v1/edits, such as {"sampling": {"steps": 20}}. `targets` has '
        "one entry for each of `prompts`, without its prompt.",
    )
    idempotency_key: str | None = Field(
        None, min_length=1, max_length=255, description="Sent again with the same key, it is the same edit."
    )
    wait_seconds: _Wait = Field(60, description="How long to wait for its end.")
    pictures: _Pictures = "content"

    #: The same as `POST /v1/edits` takes it.
    _body: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        source: dict[str, Any] = {"prompt": self.source_prompt}
        if self.image is not None:
            source["image"] = {"upload": self.image}
        own: dict[str, Any] = {"source": source, "targets": [{"prompt": prompt} for prompt in self.prompts]}
        own |= {} if self.model is None else {"model": self.model}
        own |= {} if self.seed is None else {"sampling": {"seed": self.seed}}
        clashes: list[Sequence[str | int]] = []
        self._body = _joined(own, self.options, (), clashes)
        if clashes:
            message = (
                "the tool's own fields say this as well, and otherwise: leave it out of `options`; "
                "of `targets` there is one for each of `prompts`, in their order"
            )
            raise invalid([(("options", *place), "options_conflict", message) for place in clashes])
        return self

    @property
    def body(self) -> Mapping[str, Any]:
        """The same as `POST /v1/edits` takes it."""
        return self._body

    def field(self, pointer: str) -> str:
        """The pointer to what a part of the edit was asked for by."""
        match pointer.split("/"):
            case ["", "source", "image", "upload"] if self.image is not None:
                return "/image"
            case ["", "sampling", "seed"] if self.seed is not None:
                return "/seed"
            case ["", "model"] if "model" in self.options:
                return "/options/model"
        return _field(pointer) or f"/options{pointer}"


def _joined(own: Any, further: Any, place: tuple[str | int, ...], clashes: list[Sequence[str | int]]) -> Any:
    """What the tool's own fields say of an edit, with what `options` says at the same places of the rest of it."""
    if isinstance(own, Mapping) and isinstance(further, Mapping):
        joined = {name: _joined(value, further.get(name), (*place, name), clashes) for name, value in own.items()}
        return {**further, **joined}
    if isinstance(own, list) and isinstance(further, list) and len(own) == len(further):
        return [_joined(*both, (*place, index), clashes) for index, both in enumerate(zip(own, further, strict=True))]
    if further is not None and further != own:
        clashes.append(place)
    return own


def _field(pointer: str) -> str | None:
    """The field of a tool that a part of an edit, or of an alignment, comes from; None for what no tool has."""
    match pointer.split("/"):
        case ["", "source", "prompt"]:
            return "/source_prompt"
        case ["", "targets", *_, "prompt"]:
            return pointer.removesuffix("/prompt").replace("/targets", "/prompts", 1)
        case ["", "targets"]:
            return "/prompts"
        case ["", "model"]:
            return pointer
    return None


class GetEdit(Part):
    """An edit that was asked for."""

    edit_id: str = _EDIT_ID
    wait_seconds: _Wait = Field(0, description="How long to wait for its end.")
    pictures: _Pictures = "content"


class CancelEdit(Part):
    """An edit that is not wanted any more."""

    edit_id: str = _EDIT_ID


async def align_prompts(asked: AlignPrompts, asking: Asking) -> CallToolResult:
    body = {
        "model": asked.model,
        "source": {"prompt": asked.source_prompt},
        "targets": [{"prompt": prompt} for prompt in asked.prompts],
    }
    plane, owner = asking.plane, asking.caller.owner
    with in_their_words(lambda pointer: _field(pointer) or pointer):
        request = cast(AlignmentRequest, _ALIGNMENTS.read(body, len(asked.prompts)))
        answer = await plane.computing.in_turn(owner, answer_to, request, plane)
    return CallToolResult(
        content=[TextContent(text=bytes(answer).decode())], structured_content=json.loads(bytes(answer))
    )


async def edit_image(asked: EditImage, asking: Asking) -> CallToolResult:
    plane, caller = asking.plane, asking.caller
    size = len(json.dumps(asked.options)) + sum(map(len, asked.prompts)) + len(asked.source_prompt)
    with in_their_words(asked.field):
        request = cast(EditRequest, await plane.computing.run(caller.owner, size, _EDITS.read, asked.body, size // 8))
        job, _ = await submit.submit(request.asked(""), plane, caller, name=name_of(asked.idempotency_key))
    last = 0
    # It is accepted: where the client may not wait, the answer says how it stands.
    with suppress(TooManyStreams):
        last = await waited_for(job, asked.wait_seconds, asking)
    return await _as_it_stands(job.id, last, asked.pictures, asking)


async def get_edit(asked: GetEdit, asking: Asking) -> CallToolResult:
    plane, caller = asking.plane, asking.caller
    job = await submit.fetch(asked.edit_id, plane, caller)
    last = await waited_for(job, asked.wait_seconds, asking)
    return await _as_it_stands(job.id, last, asked.pictures, asking)


async def _as_it_stands(job_id: str, last: int, pictures: Pictures, asking: Asking) -> CallToolResult:
    """An edit, of which the steps until `last` have been reported to its client."""
    record = await submit.look(job_id, asking.plane, asking.caller)
    await reached(record, last, asking)
    return await told(record, pictures, asking.plane)


async def cancel_edit(asked: CancelEdit, asking: Asking) -> CallToolResult:
    plane, caller = asking.plane, asking.caller
    job = await submit.cancel(asked.edit_id, plane, caller)
    return await told(await submit.look(job.id, plane, caller), "links", plane)


@dataclass(frozen=True, kw_only=True)
class EditTool:
    """A tool.

    Attributes:
        description: for an agent, which chooses by it.
        scopes: that a token needs.
        only_looks: whether it changes nothing.
    """

    title: str
    description: str
    takes: type[BaseModel]
    does: Callable[[Any, Asking], Awaitable[CallToolResult]]
    scopes: Sequence[str]
    only_looks: bool

    @cached_property
    def reader(self) -> BodyModel:
        """Reads what it is given."""
        return BodyModel(self.takes)


TOOLS: Mapping[str, EditTool] = {
    "align_prompts": EditTool(
        title="Set prompts against each other",
        description="Says how the words of edited prompts correspond to those of the source's prompt, and which edit "
        "would be chosen. Runs nothing and costs nothing: use it to see what an edit would change.",
        takes=AlignPrompts,
        does=align_prompts,
        scopes=(READ,),
        only_looks=True,
    ),
    "edit_image": EditTool(
        title="Edit a picture",
        description="Makes a picture from a source prompt, or takes a photo, and edits it as each further prompt says; "
        "what the prompts share stays as it is. Answers with the pictures, or with how the edit stands after "
        "`wait_seconds`.",
        takes=EditImage,
        does=edit_image,
        scopes=(WRITE,),
        only_looks=False,
    ),
    "get_edit": EditTool(
        title="See how an edit stands",
        description="Says how an edit stands, and shows its pictures once it has succeeded.",
        takes=GetEdit,
        does=get_edit,
        scopes=(READ,),
        only_looks=True,
    ),
    "cancel_edit": EditTool(
        title="Cancel an edit",
        description="Cancels an edit: one that waits at once, one that runs before its next step.",
        takes=CancelEdit,
        does=cancel_edit,
        scopes=(WRITE,),
        only_looks=False,
    ),
}
