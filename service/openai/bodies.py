"""What clients of OpenAI's Images API send: their fields, and beside them those that an edit of ours needs.

A field of theirs that has no meaning here takes the value alone that asks for nothing, so that nothing is passed over.
"""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, PrivateAttr, StringConstraints, model_validator
from pydantic.config import JsonDict
from starlette.datastructures import UploadFile

from p2p.spec import (
    MAX_PROMPT_CHARACTERS,
    MAX_SEED,
    Edit,
    LocalBlend,
    ModelName,
    Part,
    PictureFormat,
    Prompt,
    WordWeight,
    counted,
)
from p2p.spec.complaints import invalid
from p2p.spec.pictures import PictureUrl, UploadId
from p2p.spec.windows import Share
from service.http.labels import ABOUT_METADATA, ABOUT_SUBJECT, Metadata, Subject

#: Pictures of one request, as theirs takes them; the model's own limit may be lower.
MOST_PICTURES = 10
#: Partial pictures of a stream, as theirs.
MOST_PARTIAL = 3

#: The fields of a form whose value is text as it stands; the others' is JSON.
TEXTS = frozenset(
    {
        "prompt", "model", "size", "output_format", "response_format", "user", "safety_identifier", "background",
        "quality", "moderation", "source_prompt", "negative_prompt",
    }
)  # fmt: skip

GENERATION: JsonDict = {"prompt": "a cat on a beach", "n": 2, "seed": 7}
EDIT: JsonDict = {
    "images": [{"file_id": "img_0123456789abcdef0123456789abcdef"}],
    "source_prompt": "a cat in the snow",
    "prompt": "a dog in the snow",
}

_NOTHING = "Takes nothing else: there is no such choice here."


class PictureRequest(Part):
    """What both take."""

    prompt: Prompt = Field(description="What the picture shows, in the words of a caption. It is no instruction.")
    model: ModelName | None = Field(None, description="One of `GET /v1/models`; the first of them where absent.")
    size: Annotated[str, StringConstraints(pattern=r"^(auto|[1-9][0-9]{0,3}x[1-9][0-9]{0,3})$")] = Field(
        "auto", description="Width x height. `auto` is the model's own, and of an edit the picture's."
    )
    output_format: PictureFormat = "png"
    response_format: Literal["b64_json", "url"] = Field(
        "b64_json", description="`url` answers with addresses that work for a while."
    )
    stream: bool = Field(False, description="Answers with server-sent events, as the pictures come.")
    partial_images: Annotated[int, Field(ge=0, le=MOST_PARTIAL)] = Field(
        0, description="How many unfinished pictures a stream brings: small JPEGs. Fewer come where they are late."
    )
    user: Subject | None = Field(None, description=ABOUT_SUBJECT)
    safety_identifier: Subject | None = Field(None, description="The same as `user`, and goes before it.")
    background: Literal["auto", "opaque"] | None = Field(None, description=_NOTHING)
    quality: Literal["auto"] | None = Field(None, description=f"{_NOTHING} `steps` decides it.")
    moderation: Literal["auto"] | None = Field(None, description=_NOTHING)

    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        None, description="Of the first picture; the others have those that follow. Drawn where absent. Not OpenAI's."
    )
    steps: Annotated[int, Field(ge=1, le=1000)] | None = Field(None, description="Not OpenAI's.")
    guidance_scale: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)] | None = Field(
        None, description="Not OpenAI's."
    )
    negative_prompt: Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARACTERS)] = Field(
        "", description="Not OpenAI's."
    )
    metadata: Metadata | None = Field(None, description=f"{ABOUT_METADATA} Not OpenAI's.")

    @model_validator(mode="after")
    def _sent_whole(self) -> Self:
        if self.stream and self.response_format == "url":
            message = "a stream brings the pictures themselves: leave `response_format` out, or `stream`"
            raise invalid([(("response_format",), "url_of_stream", message)])
        return self


class GenerationRequest(PictureRequest):
    """One or several pictures of a prompt."""

    model_config = ConfigDict(json_schema_extra={"examples": [GENERATION]})

    n: Annotated[int, Field(ge=1, le=MOST_PICTURES)] = Field(1, description="How many, each from a seed of its own.")


class ImageReference(Part):
    """A picture that was sent before, or lies at an address."""

    file_id: UploadId | None = Field(None, description="The id that `POST /v1/images` gave; or `image_url`.")
    image_url: PictureUrl | None = Field(
        None, description="http(s):// or data: URL, if the installation takes URLs (`IMAGE_URLS`)."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file_id is None) == (self.image_url is None):
            message = "name the picture once: by `file_id`, the id that POST /v1/images gave, or by `image_url`"
            raise invalid([(("file_id",), "image_not_named", message)])
        return self


class PictureEditRequest(PictureRequest):
    """An edit of one picture."""

    model_config = ConfigDict(json_schema_extra={"examples": [EDIT]})

    images: Annotated[tuple[ImageReference, ...], *counted(1, 1)] = Field(description="The picture; one and no more.")
    mask: ImageReference | None = Field(
        None, description="Of the picture's shape: where it is transparent, the picture may change, and nowhere else."
    )
    n: Annotated[int, Field(ge=1, le=MOST_PICTURES)] = Field(
        1, description="1: an edit of a picture is the same each time."
    )
    source_prompt: Prompt | None = Field(
        None,
        description="What the picture shows, in a few words; needed. `prompt` says the same of the edited picture. "
        "What differs between them is what changes. Not OpenAI's: clients send it by `extra_body`.",
    )
    strength: Share | None = Field(
        None,
        description="How far the edit may go. The source's attention is carried over in the first `1 - strength` of "
        "the run; where absent, for as long as the words ask for. Not OpenAI's.",
    )
    edits: Annotated[tuple[Edit, ...], *counted(0, 8)] | None = Field(
        None, description="As in a target of `POST /v1/edits`; read from the words where absent. Not OpenAI's."
    )
    weights: Annotated[tuple[WordWeight, ...], *counted(0, 32)] = Field((), description="As there. Not OpenAI's.")
    local_blend: LocalBlend | None = Field(None, description="As there, beside `mask`. Not OpenAI's.")

    #: The files of a form, which stand for `images` and `mask`.
    _files: dict[str, UploadFile] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        complaints = []
        if self.source_prompt is None:
            message = (
                "a picture is edited by changing the words that describe it: say here what it shows now, and in "
                '`prompt` what it shall show, such as extra_body={"source_prompt": "a cat on a beach"} beside '
                'prompt="a dog on a beach"'
            )
            complaints.append((("source_prompt",), "picture_without_prompt", message))
        if self.n > 1:
            message = f"{self.n} are asked for, and an edit of a picture is the same each time: ask for 1"
            complaints.append((("n",), "edits_alike", message))
        if self.mask is not None and self.local_blend is not None and self.local_blend.mask is not None:
            message = "the mask is named twice: leave out the one in `local_blend`"
            complaints.append((("mask",), "image_named_twice", message))
        if complaints:
            raise invalid(complaints)
        return self
